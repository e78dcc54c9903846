//! CRC-32 as in ISO 3309, gzip and PNG.

/// The remainder of each byte after eight steps of the division, computed at compile time.
const TABLE: [u32; 256] = table();

const POLYNOMIAL: u32 = 0xedb8_8320;

const fn table() -> [u32; 256] {
    let mut table = [0; 256];
    let mut byte = 0;
    while byte < 256 {
        let mut rest = byte as u32;
        let mut bit = 0;
        while bit < 8 {
            rest = if rest & 1 == 1 { rest >> 1 ^ POLYNOMIAL } else { rest >> 1 };
            bit += 1;
        }
        table[byte] = rest;
        byte += 1;
    }
    table
}

/// The checksum of all pieces added so far.
pub struct Crc32(u32);

impl Crc32 {
    pub fn new() -> Self {
        Crc32(!0)
    }

    pub fn add(&mut self, piece: &[u8]) {
        for byte in piece {
            self.0 = TABLE[usize::from(self.0 as u8 ^ byte)] ^ self.0 >> 8;
        }
    }

    pub fn sum(&self) -> u32 {
        !self.0
    }
}

#[cfg(test)]
mod tests {
    use super::Crc32;

    #[test]
    fn known_values() {
        for (text, want) in [("", 0), ("123456789", 0xcbf4_3926), ("The quick brown fox jumps over the lazy dog", 0x414f_a339)] {
            let mut whole = Crc32::new();
            whole.add(text.as_bytes());
            assert_eq!(whole.sum(), want, "{text}");

            let mut pieces = Crc32::new();
            text.bytes().for_each(|byte| pieces.add(&[byte]));
            assert_eq!(pieces.sum(), want, "{text}, byte by byte");
        }
    }
}
