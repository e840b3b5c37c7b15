//! What a real server leaves to chance, from a seed: uids, the ends of generated names, how long a watch lasts.

/// The letters of a generated name's end: no vowels, so no words, and nothing that looks like something else.
const LETTERS: &[u8] = b"bcdfghjklmnpqrstvwxz2456789";

/// A sequence of numbers that a seed fixes (the generator is splitmix64).
#[derive(Clone, Debug)]
pub(crate) struct Chance {
    state: u64,
}

impl Chance {
    pub(crate) fn new(seed: u64) -> Self {
        Self { state: seed }
    }

    fn next(&mut self) -> u64 {
        self.state = self.state.wrapping_add(0x9e37_79b9_7f4a_7c15);
        let mut mixed = self.state;
        mixed = (mixed ^ (mixed >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
        mixed = (mixed ^ (mixed >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
        mixed ^ (mixed >> 31)
    }

    /// A number below `bound`, or 0 if there is none.
    pub(crate) fn below(&mut self, bound: u64) -> u64 {
        self.next().checked_rem(bound).unwrap_or_default()
    }

    /// A uid: a version 4 UUID.
    pub(crate) fn uid(&mut self) -> String {
        let (high, low) = (self.next(), self.next());
        format!(
            "{:08x}-{:04x}-4{:03x}-{:04x}-{:012x}",
            high >> 32,
            (high >> 16) & 0xffff,
            high & 0xfff,
            0x8000 | ((low >> 48) & 0x3fff),
            low & 0xffff_ffff_ffff
        )
    }

    /// The five letters that end a generated name.
    pub(crate) fn name_suffix(&mut self) -> String {
        (0..5)
            .filter_map(|_| {
                let at = usize::try_from(self.below(LETTERS.len() as u64)).ok()?;
                LETTERS.get(at).map(|&letter| char::from(letter))
            })
            .collect()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_seed_fixes_what_comes_and_uids_are_version_4() {
        let (mut one, mut same, mut other) = (Chance::new(7), Chance::new(7), Chance::new(8));
        let uid = one.uid();
        assert_eq!((uid.as_str(), uid.len()), (same.uid().as_str(), 36));
        assert_ne!(uid, other.uid());
        assert_eq!((uid.as_bytes()[14], "89ab".contains(char::from(uid.as_bytes()[19]))), (b'4', true));
        assert_eq!((one.name_suffix().len(), one.below(0)), (5, 0));
    }
}
