//! A bill of materials in CycloneDX 1.6, of the crates that are in the programs.
//!
//! Without a serial number and a time, which would differ each time (`cdx:reproducible`).

use serde_json::{Value, json};

use super::build::Other;
use super::crates::{Crates, Id};

/// The bill of materials of a release.
pub fn cyclonedx(release: &str, crates: &Crates, others: &[Other]) -> Value {
    let mut components = Vec::new();
    for (id, described) in &crates.crates {
        let (name, version) = id;
        let kind = if crates.programs.contains(id) { "application" } else { "library" };
        let mut component = json!({
            "type": kind,
            "bom-ref": reference(id),
            "name": name,
            "version": version,
            "licenses": [{"expression": described.license}],
        });
        // thaw's own crates are in no registry.
        if let Some(checksum) = &described.checksum {
            component["purl"] = json!(reference(id));
            component["hashes"] = json!([{"alg": "SHA-256", "content": checksum}]);
        }
        components.push(component);
    }
    for other in others {
        components.push(json!({
            "type": "library",
            "bom-ref": other.purl,
            "name": other.name,
            "version": other.version,
            "licenses": [{"expression": other.license}],
            "purl": other.purl,
        }));
    }
    let others = || others.iter().map(|other| other.purl.clone());
    let programs: Vec<String> = crates.programs.iter().map(reference).collect();
    let mut dependencies = vec![json!({"ref": "thaw", "dependsOn": programs})];
    for (id, uses) in &crates.uses {
        let mut uses: Vec<String> = uses.iter().map(reference).collect();
        if crates.programs.contains(id) {
            uses.extend(others());
        }
        dependencies.push(json!({"ref": reference(id), "dependsOn": uses}));
    }
    json!({
        "bomFormat": "CycloneDX",
        "specVersion": "1.6",
        "version": 1,
        "metadata": {
            "component": {
                "type": "application",
                "bom-ref": "thaw",
                "name": "thaw",
                "version": release,
                "licenses": [{"expression": "MIT"}],
            },
            "properties": [{"name": "cdx:reproducible", "value": "true"}],
        },
        "components": components,
        "dependencies": dependencies,
    })
}

/// The package URL of a crate.
fn reference((name, version): &Id) -> String {
    format!("pkg:cargo/{name}@{}", version.replace('+', "%2B"))
}

#[cfg(test)]
mod tests {
    use std::path::PathBuf;

    use super::*;
    use crate::package::crates::Crate;

    fn id(name: &str) -> Id {
        (name.to_owned(), String::from("1.0.0+a"))
    }

    #[test]
    fn every_crate_is_a_component_and_a_program_has_what_the_compiler_adds() {
        let described = |checksum: Option<&str>| Crate {
            license: String::from("MIT"),
            authors: Vec::new(),
            folder: PathBuf::new(),
            checksum: checksum.map(str::to_owned),
        };
        let crates = Crates {
            programs: vec![id("thaw-cli")],
            crates: [(id("thaw-cli"), described(None)), (id("ring"), described(Some("11")))].into(),
            uses: [(id("thaw-cli"), [id("ring")].into()), (id("ring"), [].into())].into(),
        };
        let std = Other {
            name: "std",
            version: String::from("1"),
            license: "MIT",
            purl: String::from("pkg:generic/std@1"),
            text: PathBuf::new(),
        };
        let sbom = cyclonedx("0.1.0-0123456789ab", &crates, &[std]);
        let kinds: Vec<_> =
            sbom["components"].as_array().unwrap().iter().map(|one| (&one["name"], &one["type"])).collect();
        assert_eq!(json!(kinds), json!([["ring", "library"], ["thaw-cli", "application"], ["std", "library"]]));
        assert_eq!(sbom["components"][0]["purl"], "pkg:cargo/ring@1.0.0%2Ba");
        assert_eq!(sbom["components"][1].get("purl"), None);
        let dependencies = json!([
            {"ref": "thaw", "dependsOn": ["pkg:cargo/thaw-cli@1.0.0%2Ba"]},
            {"ref": "pkg:cargo/ring@1.0.0%2Ba", "dependsOn": []},
            {"ref": "pkg:cargo/thaw-cli@1.0.0%2Ba", "dependsOn": ["pkg:cargo/ring@1.0.0%2Ba", "pkg:generic/std@1"]},
        ]);
        assert_eq!(sbom["dependencies"], dependencies);
    }
}
