//! Between the socket and HTTP: TLS where it is set up, and what the certificate of the other end says.

mod certificate;
mod secured;

pub(crate) use self::certificate::Certificate;
pub use self::secured::BadTls;
pub(crate) use self::secured::Secured;
