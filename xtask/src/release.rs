//! A release: what is deployed together, named by a hash of all of it.

use anyhow::{Context, Result};

use crate::lambda_zip::ARCHITECTURE;
use crate::sign::sha256_hex;

/// What stands in `infra/template.yaml` where the id of a release belongs.
const UNPACKAGED: &str = "unpackaged";

/// What the template does not name: its version, to be told apart at a glance.
const VERSION: &str = env!("CARGO_PKG_VERSION");

/// The files of a release, and its id.
pub struct Release {
    /// Such as `0.1.0-0123456789ab`. Other bytes in any file give another id.
    pub id: String,
    /// The files, by the names that the template expects under [`prefix`](Self::prefix).
    pub files: Vec<(String, Vec<u8>)>,
}

impl Release {
    /// The zips of the given architectures, the state machine's definition, and the template with the release's id.
    pub fn of(zips: Vec<(&str, Vec<u8>)>, definition: Vec<u8>, template: &str) -> Result<Self> {
        let mut files: Vec<_> = zips.into_iter().map(|(architecture, zip)| (zip_name(architecture), zip)).collect();
        files.push((String::from("thaw.asl.json"), definition));
        let hashes: String = files.iter().map(|(name, bytes)| format!("{name} {}\n", sha256_hex(bytes))).collect();
        let hash = sha256_hex((hashes + template).as_bytes());
        let id = format!("{VERSION}-{}", hash.get(..12).context("a hash is longer")?);
        files.push((String::from("template.yaml"), stamped(template, &id).into_bytes()));
        Ok(Self { id, files })
    }

    /// The same for this machine's architecture only.
    pub fn for_this_machine(zip: Vec<u8>, definition: Vec<u8>, template: &str) -> Result<Self> {
        Self::of(vec![(ARCHITECTURE, zip)], definition, template)
    }

    /// What the keys of the files begin with in the code bucket. It ends in a slash.
    pub fn prefix(&self) -> String {
        format!("thaw/{}/", self.id)
    }
}

fn zip_name(architecture: &str) -> String {
    format!("thaw-{architecture}.zip")
}

/// The id in place of the word, except in comments, which explain it.
fn stamped(template: &str, id: &str) -> String {
    let line = |line: &str| match line.trim_start().starts_with('#') {
        true => line.to_owned(),
        false => line.replace(UNPACKAGED, id),
    };
    template.split_inclusive('\n').map(line).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    const TEMPLATE: &str = "# not `unpackaged`\nKey: thaw/unpackaged/thaw.asl.json\n";

    #[test]
    fn a_release_is_named_by_all_its_bytes() {
        let id = |zip: &str, definition: &str, more: &str| {
            let (zip, definition) = (zip.as_bytes().to_vec(), definition.as_bytes().to_vec());
            Release::of(vec![("arm64", zip)], definition, &format!("{TEMPLATE}{more}")).unwrap().id
        };
        let first = id("a", "b", "c");
        assert_eq!(first, id("a", "b", "c"));
        for other in [id("x", "b", "c"), id("a", "x", "c"), id("a", "b", "x")] {
            assert_ne!(first, other);
        }
    }

    #[test]
    fn the_template_of_a_release_names_its_files() {
        let release = Release::of(vec![("arm64", vec![1]), ("x86_64", vec![2])], vec![3], TEMPLATE).unwrap();
        let names: Vec<_> = release.files.iter().map(|(name, _)| name.as_str()).collect();
        assert_eq!(names, ["thaw-arm64.zip", "thaw-x86_64.zip", "thaw.asl.json", "template.yaml"]);
        let template = String::from_utf8(release.files[3].1.clone()).unwrap();
        assert_eq!(template, format!("# not `unpackaged`\nKey: {}thaw.asl.json\n", release.prefix()));
    }

    #[test]
    fn the_template_has_places_for_the_id() {
        let template = std::fs::read_to_string(crate::workspace::root().join("infra/template.yaml")).unwrap();
        let release = Release::of(Vec::new(), Vec::new(), &template).unwrap();
        let stamped = String::from_utf8(release.files[1].1.clone()).unwrap();
        for key in ["thaw-${Architecture}.zip", "thaw.asl.json"] {
            assert!(stamped.contains(&format!("{}{key}", release.prefix())), "{key}");
        }
    }
}
