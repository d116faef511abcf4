//! Seeded random field values for tests.

/// A source of random values whose texts and bytes are borrowed from a pool.
#[allow(unreachable_pub)]
pub struct Source<'a> {
    rng: fastrand::Rng,
    text: &'a str,
}

impl<'a> Source<'a> {
    /// `text` is cut into the strings and bytes of the values.
    pub(crate) fn new(seed: u64, text: &'a str) -> Self {
        Self { rng: fastrand::Rng::with_seed(seed), text }
    }

    pub(crate) fn bits(&mut self) -> u64 {
        // Small and extreme numbers more often than a uniform choice gives them.
        match self.rng.u8(0..8) {
            0 => 0,
            1 => u64::MAX,
            2 => self.rng.u64(0..300),
            _ => self.rng.u64(..),
        }
    }

    pub(crate) fn count(&mut self) -> usize {
        self.rng.usize(0..4)
    }

    pub(crate) fn text(&mut self) -> &'a str {
        let cuts: Vec<usize> = self.text.char_indices().map(|(at, _)| at).collect();
        let from = self.rng.usize(0..cuts.len());
        let to = self.rng.usize(from..cuts.len());
        &self.text[cuts[from]..cuts[to]]
    }

    pub(crate) fn bytes(&mut self) -> &'a [u8] {
        self.text().as_bytes()
    }
}
