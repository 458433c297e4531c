//! A byte that says whether the rest is packed first and how much of the packed bytes is damaged, one that says how long
//! its pieces are, and the bytes of a manifest.

#![no_main]

libfuzzer_sys::fuzz_target!(|bytes: &[u8]| {
    let [how, pieces_of, bytes @ ..] = bytes else { return };
    let packed = thaw_fuzz::sources::gzip(bytes);
    match how % 4 {
        0 => {
            thaw_fuzz::sources::list(bytes, "2019.txt", *pieces_of as usize);
            thaw_fuzz::sources::manifest(bytes, *pieces_of as usize)
        }
        1 => thaw_fuzz::sources::manifest(&packed, *pieces_of as usize),
        2 => thaw_fuzz::sources::manifest(&packed[..packed.len() * *how as usize / 256], *pieces_of as usize),
        _ => {
            let mut packed = packed;
            let at = packed.len() * *how as usize / 256;
            packed[at] ^= how | 1;
            thaw_fuzz::sources::manifest(&packed, *pieces_of as usize)
        }
    };
});
