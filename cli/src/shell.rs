//! Commands that can be pasted into a POSIX shell.

/// An argument as a POSIX shell takes it.
pub fn quoted(arg: &str) -> String {
    let is_plain = |byte: u8| byte.is_ascii_alphanumeric() || b"-_./:=@%+,".contains(&byte);
    if !arg.is_empty() && arg.bytes().all(is_plain) {
        return arg.to_owned();
    }
    format!("'{}'", arg.replace('\'', r"'\''"))
}
