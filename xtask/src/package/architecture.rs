//! The two architectures of Lambda functions.

use crate::lambda_zip::ARCHITECTURE;

/// What a function is compiled for.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Architecture {
    Arm64,
    X86,
}

impl Architecture {
    pub const ALL: [Self; 2] = [Self::Arm64, Self::X86];

    /// This machine's.
    pub fn here() -> Self {
        if ARCHITECTURE == Self::Arm64.name() { Self::Arm64 } else { Self::X86 }
    }

    /// The one that is not this.
    pub fn other(self) -> Self {
        match self {
            Self::Arm64 => Self::X86,
            Self::X86 => Self::Arm64,
        }
    }

    /// As Lambda names it.
    pub fn name(self) -> &'static str {
        match self {
            Self::Arm64 => "arm64",
            Self::X86 => "x86_64",
        }
    }

    /// As Rust names it, with Lambda's system and C library.
    pub fn triple(self) -> &'static str {
        match self {
            Self::Arm64 => "aarch64-unknown-linux-gnu",
            Self::X86 => "x86_64-unknown-linux-gnu",
        }
    }

    /// As an ELF header names it.
    pub fn machine(self) -> u16 {
        match self {
            Self::Arm64 => elf::abi::EM_AARCH64,
            Self::X86 => elf::abi::EM_X86_64,
        }
    }

    /// The dynamic linker of its C library, where every program names it.
    pub fn interpreter(self) -> &'static str {
        match self {
            Self::Arm64 => "/lib/ld-linux-aarch64.so.1",
            Self::X86 => "/lib64/ld-linux-x86-64.so.2",
        }
    }

    /// As QEMU names it.
    pub fn emulated(self) -> &'static str {
        match self {
            Self::Arm64 => "aarch64",
            Self::X86 => "x86_64",
        }
    }

    /// Debian's package with its C library for other machines, and where its files are.
    pub fn c_library(self) -> (&'static str, &'static str) {
        match self {
            Self::Arm64 => ("libc6-arm64-cross", "usr/aarch64-linux-gnu"),
            Self::X86 => ("libc6-amd64-cross", "usr/x86_64-linux-gnu"),
        }
    }
}
