//! A set of nodes as one word. Nothing about what they hold.

/// Some of the nodes.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, Default)]
pub struct NodeSet(u8);

impl NodeSet {
    /// None.
    pub const EMPTY: Self = Self(0);

    /// Those at these places, the first being 1 as in the traces.
    pub const fn of(numbers: &[u8]) -> Self {
        let (mut bits, mut i) = (0, 0);
        while i < numbers.len() {
            bits |= 1 << (numbers[i] - 1);
            i += 1;
        }
        Self(bits)
    }

    /// Whether the node at this index is one of them.
    pub const fn contains(self, index: usize) -> bool {
        self.0 & (1 << index) != 0
    }

    /// Them and the node at this index.
    #[must_use]
    pub const fn with(self, index: usize) -> Self {
        Self(self.0 | 1 << index)
    }

    /// Them and the others.
    #[must_use]
    pub const fn or(self, others: Self) -> Self {
        Self(self.0 | others.0)
    }

    /// How many they are.
    pub const fn len(self) -> usize {
        self.0.count_ones() as usize
    }

    /// Whether they are none.
    pub const fn is_empty(self) -> bool {
        self.0 == 0
    }

    /// Their indices.
    pub fn iter(self) -> impl Iterator<Item = usize> {
        (0..8).filter(move |index| self.contains(*index))
    }

    /// Every choice of so many of them.
    pub fn choices(self, size: usize) -> impl Iterator<Item = Self> {
        (0..=self.0).map(Self).filter(move |one| one.0 & !self.0 == 0 && one.len() == size)
    }
}

impl From<u8> for NodeSet {
    fn from(bits: u8) -> Self {
        Self(bits)
    }
}

impl From<NodeSet> for u8 {
    fn from(set: NodeSet) -> Self {
        set.0
    }
}
