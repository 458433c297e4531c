//! The licenses of what is compiled into the programs, with their texts.

use std::collections::{BTreeMap, BTreeSet};
use std::fmt::Write as _;
use std::fs;
use std::path::{Path, PathBuf};

use anyhow::{Context, Result, bail};

use super::build::Other;
use super::crates::{Crate, Crates, has_terms};

/// A list of all crates and others with their licenses, and then each text once, with those to whom it belongs.
///
/// A crate without a text gets the standard text of its license, from the folder of such texts that comes with rustc.
pub fn texts(crates: &Crates, others: &[Other], standard_texts: &Path) -> Result<String> {
    let mut list = String::from("What is compiled into thaw's programs, beside thaw itself:\n\n");
    let mut texts: BTreeMap<String, BTreeSet<String>> = BTreeMap::new();
    let mut add = |text: String, name: &str| {
        texts.entry(text.replace("\r\n", "\n").trim_end().to_owned()).or_default().insert(name.to_owned());
    };
    for ((name, version), described) in crates.crates.iter().filter(|(_, described)| described.checksum.is_some()) {
        let name = format!("{name} {version}");
        writeln!(list, "{name}: {}", described.license)?;
        for text in texts_of(described, standard_texts).with_context(|| format!("cannot read the license of {name}"))? {
            add(text, &name);
        }
    }
    for Other { name, version, license, text, .. } in others {
        let name = format!("{name} {version}");
        writeln!(list, "{name}: {license}")?;
        add(fs::read_to_string(text).with_context(|| format!("cannot read the license of {name}"))?, &name);
    }
    let mut texts: Vec<_> = texts.into_iter().map(|(text, names)| (names, text)).collect();
    texts.sort();
    for (names, text) in texts {
        let names = names.into_iter().collect::<Vec<_>>().join(", ");
        write!(list, "\n{}\n{names}:\n\n{text}\n", "-".repeat(80))?;
    }
    Ok(list)
}

fn texts_of(described: &Crate, standard_texts: &Path) -> Result<Vec<String>> {
    let mut files: Vec<PathBuf> = Vec::new();
    for entry in fs::read_dir(&described.folder)? {
        files.push(entry?.path());
    }
    files.retain(|file| has_terms(file));
    files.sort();
    if files.is_empty() {
        return Ok(vec![standard_text(described, standard_texts)?]);
    }
    files.iter().map(|file| Ok(String::from_utf8_lossy(&fs::read(file)?).into_owned())).collect()
}

/// The standard text of the license, of the shorter one if there is a choice.
fn standard_text(described: &Crate, standard_texts: &Path) -> Result<String> {
    let choices: Vec<&str> = described.license.split(" OR ").collect();
    let Some(license) = ["MIT", "Apache-2.0"].into_iter().find(|license| choices.contains(license)) else {
        bail!("it has no file with it, and there is no standard text of {}", described.license);
    };
    let file = standard_texts.join(format!("{license}.txt"));
    let text = fs::read_to_string(&file).with_context(|| format!("cannot read {}", file.display()))?;
    let authors = if described.authors.is_empty() { String::from("its authors") } else { described.authors.join(", ") };
    Ok(text.replace("<year> <copyright holders>", &authors))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn each_text_is_there_once_and_a_missing_one_is_the_standard_text() {
        let dir = std::env::temp_dir().join(format!("thaw-licenses-{}", std::process::id()));
        let file = |path: &str, content: &str| {
            let file = dir.join(path);
            fs::create_dir_all(file.parent().unwrap()).unwrap();
            fs::write(&file, content).unwrap();
        };
        file("a/LICENSE", "the same text\n");
        file("b/License.md", "the same text\r\n");
        file("c/lib.rs", "no text");
        file("texts/MIT.txt", "Copyright (c) <year> <copyright holders>");
        let described = |folder: &str, license: &str| Crate {
            license: license.to_owned(),
            authors: vec![String::from("Ann")],
            folder: dir.join(folder),
            checksum: Some(String::from("11")),
        };
        let mut crates = Crates::default();
        for (name, license) in [("a", "ISC"), ("b", "ISC"), ("c", "Zlib OR MIT")] {
            crates.crates.insert((name.to_owned(), String::from("1.0.0")), described(name, license));
        }
        let text = texts(&crates, &[], &dir.join("texts")).unwrap();
        assert!(text.contains("\nc 1.0.0: Zlib OR MIT\n"), "{text}");
        assert_eq!(text.matches("the same text").count(), 1, "{text}");
        assert!(text.contains("\na 1.0.0, b 1.0.0:\n\nthe same text\n"), "{text}");
        assert!(text.contains("\nc 1.0.0:\n\nCopyright (c) Ann\n"), "{text}");

        crates.crates.insert((String::from("d"), String::from("1.0.0")), described("c", "Zlib"));
        let error = format!("{:#}", texts(&crates, &[], &dir.join("texts")).unwrap_err());
        assert!(error.contains("d 1.0.0") && error.contains("no standard text of Zlib"), "{error}");
        fs::remove_dir_all(&dir).unwrap();
    }
}
