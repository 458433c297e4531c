//! What a program needs of the machine that runs it, read from its ELF headers and its dynamic symbols.

use std::collections::BTreeSet;

use anyhow::{Context, Result, bail, ensure};
use elf::ElfBytes;
use elf::abi::{DT_NEEDED, PT_INTERP};
use elf::endian::LittleEndian;
use elf::file::Class;

use super::architecture::Architecture;

/// A version of the GNU C library: 2.34 is `Glibc(2, 34)`.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub struct Glibc(pub u32, pub u32);

/// What a program needs.
#[derive(Debug, PartialEq, Eq)]
pub struct Needs {
    pub machine: u16,
    pub interpreter: String,
    pub libraries: BTreeSet<String>,
    /// The newest version of which it names a symbol.
    pub glibc: Glibc,
}

/// The libraries that are part of the GNU C library: everything else may be missing in a Lambda function.
const OF_GLIBC: [&str; 8] = [
    "ld-linux-aarch64.so.1",
    "ld-linux-x86-64.so.2",
    "libc.so.6",
    "libdl.so.2",
    "libm.so.6",
    "libpthread.so.0",
    "librt.so.1",
    "libutil.so.1",
];

/// Reads what a program needs. Fails if it is no dynamically linked 64-bit ELF program, or names a symbol of a version that
/// is none.
pub fn needs(program: &[u8]) -> Result<Needs> {
    let file =
        ElfBytes::<LittleEndian>::minimal_parse(program).context("the program is no ELF file of this byte order")?;
    ensure!(file.ehdr.class == Class::ELF64, "the program is no 64-bit program");
    let common = file.find_common_data().context("the program's sections cannot be read")?;
    let (symbols, names) = (common.dynsyms.context("the program has no dynamic symbols")?, common.dynsyms_strs);
    let names = names.context("the program's dynamic symbols have no names")?;

    let segments = file.segments().context("the program has no segments")?;
    let interpreter = segments.iter().find(|segment| segment.p_type == PT_INTERP);
    let interpreter = file.segment_data(&interpreter.context("the program names no dynamic linker")?)?;
    let interpreter = String::from_utf8_lossy(interpreter).trim_end_matches('\0').to_owned();

    let mut libraries = BTreeSet::new();
    for entry in common.dynamic.context("the program has no dynamic section")?.iter() {
        if entry.d_tag == DT_NEEDED {
            libraries.insert(names.get(usize::try_from(entry.d_val())?)?.to_owned());
        }
    }

    let versions = file.symbol_version_table()?.context("the program's symbols have no versions")?;
    let mut glibc = Glibc(0, 0);
    for index in 0..symbols.len() {
        if let Some(needed) = versions.get_requirement(index)?
            && let Some(version) = needed.name.strip_prefix("GLIBC_")
        {
            let symbol = names.get(usize::try_from(symbols.get(index)?.st_name)?)?;
            let Some(version) = version_of(version) else { bail!("the program needs `{symbol}` of {}", needed.name) };
            glibc = glibc.max(version);
        }
    }
    Ok(Needs { machine: file.ehdr.e_machine, interpreter, libraries, glibc })
}

/// `2.34` and `2.2.5`, but not `PRIVATE`.
fn version_of(text: &str) -> Option<Glibc> {
    let mut numbers = text.split('.').map(str::parse);
    Some(Glibc(numbers.next()?.ok()?, numbers.next()?.ok()?))
}

/// Fails if these are not the needs of a program that runs on Lambda, in functions of this architecture.
pub fn check(needs: &Needs, architecture: Architecture, newest: Glibc) -> Result<()> {
    let name = architecture.name();
    ensure!(
        needs.machine == architecture.machine(),
        "the program is for ELF machine {}, and {name} is {}",
        needs.machine,
        architecture.machine()
    );
    ensure!(
        needs.interpreter == architecture.interpreter(),
        "the program names the dynamic linker {}, and that of {name} is {}",
        needs.interpreter,
        architecture.interpreter()
    );
    if let Some(library) = needs.libraries.iter().find(|library| !OF_GLIBC.contains(&library.as_str())) {
        bail!("the program needs {library}, which is no part of the C library and may be missing on Lambda");
    }
    let (Glibc(major, minor), Glibc(newest_major, newest_minor)) = (needs.glibc, newest);
    ensure!(
        needs.glibc <= newest,
        "the program needs glibc {major}.{minor}, but Lambda's provided.al2023 has {newest_major}.{newest_minor}"
    );
    Ok(())
}

#[cfg(all(test, target_os = "linux"))]
mod tests {
    use super::*;

    /// The needs of these very tests, which are a program as others.
    fn of_these_tests() -> Needs {
        needs(&std::fs::read(std::env::current_exe().unwrap()).unwrap()).unwrap()
    }

    /// What a function for this machine's architecture needs.
    fn of_a_function() -> Needs {
        let libraries = [String::from("libc.so.6"), String::from("libm.so.6")].into();
        Needs { libraries, glibc: Glibc(2, 34), ..of_these_tests() }
    }

    #[track_caller]
    fn refused(needs: &Needs, why: &str) {
        let error = check(needs, Architecture::here(), Glibc(2, 34)).unwrap_err().to_string();
        assert!(error.contains(why), "{error}");
    }

    #[test]
    fn a_programs_needs_are_read() {
        let needs = of_these_tests();
        assert_eq!(needs.machine, Architecture::here().machine());
        assert_eq!(needs.interpreter, Architecture::here().interpreter());
        assert!(needs.libraries.contains("libc.so.6"), "{needs:?}");
        assert!(needs.glibc >= Glibc(2, 17) && needs.glibc < Glibc(3, 0), "{needs:?}");
    }

    #[test]
    fn a_program_that_lambda_can_run_is_taken() {
        check(&of_a_function(), Architecture::here(), Glibc(2, 34)).unwrap();
    }

    #[test]
    fn a_program_for_the_other_architecture_is_refused() {
        let Needs { machine, interpreter, .. } = of_a_function();
        refused(&Needs { machine: machine + 1, ..of_a_function() }, "ELF machine");
        refused(&Needs { interpreter: interpreter + ".other", ..of_a_function() }, "dynamic linker");
    }

    #[test]
    fn a_program_that_needs_what_lambda_has_not_is_refused() {
        refused(&Needs { glibc: Glibc(2, 35), ..of_a_function() }, "needs glibc 2.35");
        refused(&Needs { libraries: [String::from("libssl.so.3")].into(), ..of_a_function() }, "libssl.so.3");
    }

    #[test]
    fn what_is_no_program_is_an_error() {
        assert!(needs(b"#!/bin/sh\n").is_err());
    }

    #[test]
    fn versions_are_compared_as_numbers() {
        assert_eq!(version_of("2.34"), Some(Glibc(2, 34)));
        assert_eq!(version_of("2.2.5"), Some(Glibc(2, 2)));
        assert_eq!(version_of("PRIVATE"), None);
        assert!(Glibc(2, 34) > Glibc(2, 4));
    }
}
