//! Numbers that look drawn and are computed: the same seed and the same words give the same number.

/// A hash of words. FNV-1a, then the finaliser of splitmix64 so that near words land far apart.
pub(crate) fn hash(seed: u64, words: &[&str]) -> u64 {
    let mut state = 0xcbf2_9ce4_8422_2325 ^ seed;
    for word in words {
        // The length keeps ["ab", "c"] and ["a", "bc"] apart.
        for byte in word.bytes().chain(word.len().to_le_bytes()) {
            state = (state ^ u64::from(byte)).wrapping_mul(0x0000_0100_0000_01b3);
        }
    }
    mix(state)
}

fn mix(state: u64) -> u64 {
    let state = (state ^ (state >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
    let state = (state ^ (state >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
    state ^ (state >> 31)
}

/// A number in `low..=high`, chosen by the hash.
pub(crate) fn between(hash: u64, low: i64, high: i64) -> i64 {
    let span = u64::try_from(high - low).unwrap_or_default() + 1;
    low + i64::try_from(hash % span).unwrap_or_default()
}

/// A name of capital letters and digits, like the ids of CloudFront.
pub(crate) fn name(hash: u64, length: usize) -> String {
    const LETTERS: &[u8; 36] = b"ABCDEFGHIJKLMNOPQRSTUVWXYZ0123456789";
    let mut state = hash;
    (0..length)
        .map(|_| {
            state = mix(state.wrapping_add(0x9e37_79b9_7f4a_7c15));
            char::from(LETTERS[(state % 36) as usize])
        })
        .collect()
}

/// A name of lower-case hexadecimal digits, like an entity tag or a request id.
pub(crate) fn hex(hash: u64, length: usize) -> String {
    let mut state = hash;
    let mut text = String::with_capacity(length + 16);
    while text.len() < length {
        state = mix(state.wrapping_add(0x9e37_79b9_7f4a_7c15));
        text.push_str(&format!("{state:016x}"));
    }
    text.truncate(length);
    text
}

/// Throws one after another, for faults with a probability.
#[derive(Debug)]
pub(crate) struct Rng(u64);

impl Rng {
    pub(crate) fn new(seed: u64) -> Self {
        Self(seed)
    }

    /// True with this probability.
    pub(crate) fn chance(&mut self, probability: f64) -> bool {
        self.0 = self.0.wrapping_add(0x9e37_79b9_7f4a_7c15);
        // 53 bits are what an f64 can hold exactly.
        ((mix(self.0) >> 11) as f64) / ((1_u64 << 53) as f64) < probability
    }
}
