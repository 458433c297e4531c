//! Texts that people read, kept as files beside this one.

use std::path::Path;

/// Holds a text against `<name>.txt`. `UPDATE_SNAPSHOTS=1` writes the file instead: read the difference before you
/// commit it.
pub fn check(name: &str, text: &str) {
    let file = Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/snapshots").join(format!("{name}.txt"));
    if std::env::var_os("UPDATE_SNAPSHOTS").is_some() {
        std::fs::write(&file, text).unwrap();
        return;
    }
    let kept = std::fs::read_to_string(&file).unwrap_or_default();
    assert!(
        kept == text,
        "{} differs. Run it with UPDATE_SNAPSHOTS=1, and read the difference.\n{text}",
        file.display()
    );
}
