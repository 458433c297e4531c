//! The form of bucket names and keys.

/// S3's limit for a key, in bytes of UTF-8 (User Guide, "Naming Amazon S3 objects").
pub(crate) const MAX_KEY_BYTES: usize = 1_024;

/// S3's rules for the form of a name (User Guide, "General purpose bucket naming rules"), without the reserved prefixes and
/// suffixes.
pub(crate) fn is_bucket_name(name: &str) -> bool {
    let plain = |byte: &u8| byte.is_ascii_lowercase() || byte.is_ascii_digit();
    let [first, .., last] = name.as_bytes() else { return false };
    (3..=63).contains(&name.len())
        && name.bytes().all(|byte| plain(&byte) || byte == b'.' || byte == b'-')
        && plain(first)
        && plain(last)
        && !name.contains("..")
        && !looks_like_an_ip_address(name)
}

/// The rules that held in us-east-1 before (User Guide, "General purpose bucket naming rules", "Legacy").
pub(crate) fn is_old_bucket_name(name: &str) -> bool {
    let is_old = name.len() > 63 || name.bytes().any(|byte| byte.is_ascii_uppercase() || byte == b'_');
    let plain = |byte: u8| byte.is_ascii_alphanumeric() || matches!(byte, b'.' | b'-' | b'_');
    is_old && (3..=255).contains(&name.len()) && name.bytes().all(plain)
}

fn looks_like_an_ip_address(name: &str) -> bool {
    name.split('.').count() == 4 && name.bytes().all(|byte| byte.is_ascii_digit() || byte == b'.')
}
