//! Randomness of the operating system's.

use data_encoding::HEXLOWER;

/// So many bytes.
pub(crate) fn bytes<const N: usize>() -> Result<[u8; N], getrandom::Error> {
    let mut bytes = [0; N];
    getrandom::fill(&mut bytes)?;
    Ok(bytes)
}

/// The same in hexadecimal.
pub(crate) fn hex<const N: usize>() -> Result<String, getrandom::Error> {
    bytes::<N>().map(|bytes| HEXLOWER.encode(&bytes))
}
