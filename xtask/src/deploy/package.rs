//! The folder that `cargo xtask package` makes, or that somebody handed on.

use std::collections::BTreeSet;
use std::fs;
use std::path::{Path, PathBuf};

use anyhow::{Context, Result, ensure};

use crate::template::{Template, text};

/// A release in a folder.
pub struct Package {
    folder: PathBuf,
    /// The template, with the id of the release in it.
    pub template: String,
}

/// A file of the release, and the key under which the template names it.
#[derive(Debug, PartialEq, Eq)]
pub struct Upload {
    pub file: PathBuf,
    pub key: String,
    pub bytes: u64,
}

impl Package {
    /// Fails if the folder has no template, or one that names no release.
    pub fn read(folder: &Path) -> Result<Self> {
        let template = fs::read_to_string(folder.join("template.yaml")).with_context(|| {
            format!("{} has no template.yaml; make it with `cargo xtask package`, or name a release's folder with --package", folder.display())
        })?;
        let package = Self { folder: folder.to_owned(), template };
        let release = package.release(&Template::of(&package.template, &[]));
        ensure!(
            release != "unpackaged",
            "{} names no release: it is the template of the source. Deploy the one in target/package, which `cargo xtask package` makes",
            folder.join("template.yaml").display()
        );
        Ok(package)
    }

    /// The release's id, from the key of the state machine's definition: `thaw/<id>/thaw.asl.json`.
    pub fn release(&self, template: &Template) -> String {
        let key = definition_key(template);
        key.split('/').nth(1).unwrap_or_default().to_owned()
    }

    /// The key of the template itself, beside the files that it names.
    pub fn template_key(&self, template: &Template) -> String {
        let key = definition_key(template);
        let prefix = key.rsplit_once('/').map_or("", |(prefix, _)| prefix);
        format!("{prefix}/template.yaml")
    }

    /// The template and every file that it names with its parameters. Fails if one is not in the folder.
    pub fn uploads(&self, template: &Template) -> Result<Vec<Upload>> {
        let functions = template.resources("AWS::Lambda::Function");
        let mut keys: BTreeSet<String> = functions.values().map(|function| text(&function["Code"]["S3Key"])).collect();
        keys.extend([definition_key(template), self.template_key(template)]);
        keys.into_iter().map(|key| self.upload(key)).collect()
    }

    fn upload(&self, key: String) -> Result<Upload> {
        let name = key.rsplit('/').next().unwrap_or_default();
        let file = self.folder.join(name);
        let bytes = fs::metadata(&file).with_context(|| {
            let folder = self.folder.display();
            format!("{folder} has no {name}, which the template needs: package again, or set Architecture to that of the zip that is there")
        })?;
        Ok(Upload { file, key, bytes: bytes.len() })
    }
}

fn definition_key(template: &Template) -> String {
    text(&template.resource("StateMachine")["DefinitionS3Location"]["Key"])
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::release::Release;

    fn folder(name: &str) -> PathBuf {
        let folder = std::env::temp_dir().join(format!("thaw-package-{name}-{}", std::process::id()));
        fs::create_dir_all(&folder).unwrap();
        folder
    }

    #[test]
    fn what_is_uploaded_is_what_the_template_names() {
        let folder = folder("uploads");
        let zips = vec![("arm64", vec![1]), ("x86_64", vec![1, 2])];
        let release = Release::of(zips, vec![3, 4, 5], crate::template::TEXT).unwrap();
        for (name, content) in &release.files {
            fs::write(folder.join(name), content).unwrap();
        }
        let package = Package::read(&folder).unwrap();
        let template = Template::of(&package.template, &[]);
        assert_eq!(package.release(&template), release.id);
        let uploads = package.uploads(&template).unwrap();
        let keys: Vec<_> = uploads.iter().map(|upload| upload.key.strip_prefix(&release.prefix()).unwrap()).collect();
        assert_eq!(keys, ["template.yaml", "thaw-arm64.zip", "thaw.asl.json"]);
        assert_eq!(uploads[2].bytes, 3);
        fs::remove_file(folder.join("thaw-arm64.zip")).unwrap();
        assert!(package.uploads(&template).unwrap_err().to_string().contains("has no thaw-arm64.zip"));
        fs::remove_dir_all(folder).unwrap();
    }

    #[test]
    fn the_template_of_the_source_is_no_release() {
        let folder = folder("source");
        assert!(Package::read(&folder).err().unwrap().to_string().contains("has no template.yaml"));
        fs::write(folder.join("template.yaml"), crate::template::TEXT).unwrap();
        assert!(Package::read(&folder).err().unwrap().to_string().contains("names no release"));
        fs::remove_dir_all(folder).unwrap();
    }
}
