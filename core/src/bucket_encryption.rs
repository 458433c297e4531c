//! How S3 encrypts the new objects of a bucket, and whether the stack may use the key.

/// How S3 encrypts new objects of a bucket.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Encryption {
    /// With S3's own keys.
    S3,
    /// With a KMS key (SSE-KMS, also in two layers), as the configuration names it: an ARN, an id or an alias. `None` is the
    /// key `aws/s3` of the account.
    Kms(Option<String>),
}

/// Whether `ArchiveKmsKeys` has the key with which a bucket's new objects are encrypted.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum KmsKey<'a> {
    /// There is no KMS key.
    None,
    /// It is the key `aws/s3`, which AWS manages: whoever may use S3 in the account may use it, and nobody else.
    OfAws,
    /// It is there.
    Named,
    /// It is an alias, which the parameter does not take: only KMS knows its key.
    Alias(&'a str),
    /// It is not there.
    Missing(&'a str),
}

impl Encryption {
    /// Looks for the key among those of `ArchiveKmsKeys`. An id is a key's name in all of the account and Region.
    pub fn key_in<'a>(&'a self, archive_kms_keys: &[impl AsRef<str>]) -> KmsKey<'a> {
        let key = match self {
            Self::S3 => return KmsKey::None,
            Self::Kms(None) => return KmsKey::OfAws,
            Self::Kms(Some(key)) => key.as_str(),
        };
        let id = |key: &str| key.trim().rsplit('/').next().unwrap_or_default().to_owned();
        if key.ends_with("alias/aws/s3") {
            KmsKey::OfAws
        } else if archive_kms_keys.iter().any(|named| id(named.as_ref()) == id(key)) {
            KmsKey::Named
        } else if key.starts_with("alias/") || key.contains(":alias/") {
            KmsKey::Alias(key)
        } else {
            KmsKey::Missing(key)
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_key_is_looked_for_by_its_id() {
        const ARN: &str = "arn:aws:kms:us-east-1:111122223333:key/k-1";
        let of = |key: Option<&str>| Encryption::Kms(key.map(str::to_owned));
        let named = ["arn:aws:kms:us-east-1:111122223333:key/k-0", ARN];
        assert_eq!(Encryption::S3.key_in(&named), KmsKey::None);
        assert_eq!(of(None).key_in(&named), KmsKey::OfAws);
        for alias in ["alias/aws/s3", "arn:aws:kms:us-east-1:111122223333:alias/aws/s3"] {
            assert_eq!(of(Some(alias)).key_in(&named), KmsKey::OfAws, "{alias}");
        }
        for key in [ARN, "k-1"] {
            assert_eq!(of(Some(key)).key_in(&named), KmsKey::Named, "{key}");
            assert_eq!(of(Some(key)).key_in(&named[..1]), KmsKey::Missing(key), "{key}");
            assert_eq!(of(Some(key)).key_in(&[""]), KmsKey::Missing(key), "{key}");
        }
        for alias in ["alias/mine", "arn:aws:kms:us-east-1:111122223333:alias/mine"] {
            assert_eq!(of(Some(alias)).key_in(&named), KmsKey::Alias(alias), "{alias}");
        }
    }
}
