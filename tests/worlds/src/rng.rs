//! Deterministic random numbers: splitmix64, whose whole state is one number.

use std::cell::Cell;

/// A seeded random number generator. It generates worlds.
#[derive(Debug, Clone)]
pub struct Rng(u64);

impl Rng {
    /// A generator that returns the same numbers for the same seed.
    pub fn new(seed: u64) -> Self {
        Self(mix(seed ^ 0x7468_6177_2077_6f72))
    }

    fn next(&mut self) -> u64 {
        self.0 = self.0.wrapping_add(0x9e37_79b9_7f4a_7c15);
        mix(self.0)
    }

    /// A number below `end`, or 0 if `end` is 0.
    pub fn below(&mut self, end: u32) -> u32 {
        u32::try_from(self.next() % u64::from(end.max(1))).unwrap_or_default()
    }

    /// True with probability 1/`n`.
    pub fn one_in(&mut self, n: u32) -> bool {
        self.below(n) == 0
    }

    /// One of `items`, each with the same probability.
    pub fn choose<T: Copy>(&mut self, items: &[T]) -> T {
        items[self.below(u32::try_from(items.len()).unwrap_or(u32::MAX)) as usize]
    }
}

/// The random numbers of a running simulation: number `n` depends on the seed and on `n` only.
#[derive(Debug)]
pub struct RandomSequence {
    seed: u64,
    position: Cell<u64>,
}

impl RandomSequence {
    /// The sequence of a seed.
    pub fn new(seed: u64) -> Self {
        Self { seed, position: Cell::new(0) }
    }

    /// How many numbers were drawn.
    pub fn position(&self) -> u64 {
        self.position.get()
    }

    /// Draws the next number.
    pub fn next(&self) -> u64 {
        let position = self.position.get();
        self.position.set(position + 1);
        mix(self.seed ^ mix(position))
    }
}

fn mix(state: u64) -> u64 {
    let state = (state ^ (state >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
    let state = (state ^ (state >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
    state ^ (state >> 31)
}
