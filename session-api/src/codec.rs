//! How the value of one attribute becomes bytes: each on its own, behind a leading format byte.

use std::fmt;

use bytes::{BufMut, Bytes, BytesMut};
use serde::Serialize;
use serde::de::DeserializeOwned;

const JSON: u8 = b'J';
const MESSAGE_PACK: u8 = b'M';
const BINCODE: u8 = b'B';

/// The largest value that bincode is allowed to decode or to allocate for, in bytes: far above any session limit,
/// and a bound on what a hostile length prefix can ask for.
#[cfg(feature = "bincode")]
const BINCODE_LIMIT: usize = 16 * 1024 * 1024;

/// The format of newly written attributes.
///
/// Reading looks at the leading byte of each value, so that a service can change its codec while sessions live.
///
/// ```
/// use holdover_api::Codec;
///
/// let bytes = Codec::Json.encode(&vec![1, 2, 3])?;
/// assert_eq!(&bytes[..], b"J[1,2,3]");
/// assert_eq!(Codec::decode::<Vec<u8>>(&bytes)?, vec![1, 2, 3]);
/// # Ok::<(), holdover_api::CodecError>(())
/// ```
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
#[non_exhaustive]
pub enum Codec {
    /// JSON: readable, and survives many changes of type (fields added, removed with a default, reordered).
    #[default]
    Json,
    /// MessagePack with field names: smaller, and survives the same changes of type.
    #[cfg(feature = "messagepack")]
    MessagePack,
    /// bincode 2.0.1: smallest, without field names: a changed type is at best an error. Change names with types.
    #[cfg(feature = "bincode")]
    Bincode,
}

impl Codec {
    /// Encodes a value.
    pub fn encode<T: Serialize + ?Sized>(self, value: &T) -> Result<Bytes, CodecError> {
        let refuse = || CodecError::new::<T>(CodecFailure::Encode);
        let mut writer = BytesMut::with_capacity(64).writer();
        match self {
            Self::Json => {
                writer.get_mut().put_u8(JSON);
                serde_json::to_writer(&mut writer, value).map_err(|_| refuse())?;
            }
            #[cfg(feature = "messagepack")]
            Self::MessagePack => {
                writer.get_mut().put_u8(MESSAGE_PACK);
                rmp_serde::encode::write_named(&mut writer, value).map_err(|_| refuse())?;
            }
            #[cfg(feature = "bincode")]
            Self::Bincode => {
                writer.get_mut().put_u8(BINCODE);
                bincode::serde::encode_into_std_write(value, &mut writer, bincode_config())
                    .map_err(|_| refuse())?;
            }
        }
        Ok(writer.into_inner().freeze())
    }

    /// Decodes a value, by its leading byte. What cannot be decoded is an error: never a guess, never a panic.
    pub fn decode<T: DeserializeOwned>(bytes: &[u8]) -> Result<T, CodecError> {
        let refuse = || CodecError::new::<T>(CodecFailure::Decode);
        let (format, value) = bytes.split_first().ok_or_else(refuse)?;
        match *format {
            JSON => serde_json::from_slice(value).map_err(|_| refuse()),
            #[cfg(feature = "messagepack")]
            MESSAGE_PACK => {
                let mut reader = value;
                let decoded = rmp_serde::from_read(&mut reader).map_err(|_| refuse())?;
                if reader.is_empty() { Ok(decoded) } else { Err(refuse()) }
            }
            #[cfg(not(feature = "messagepack"))]
            MESSAGE_PACK => Err(CodecError::new::<T>(CodecFailure::MissingFeature("messagepack"))),
            #[cfg(feature = "bincode")]
            BINCODE => {
                let (decoded, read) =
                    bincode::serde::decode_from_slice(value, bincode_config()).map_err(|_| refuse())?;
                if read == value.len() { Ok(decoded) } else { Err(refuse()) }
            }
            #[cfg(not(feature = "bincode"))]
            BINCODE => Err(CodecError::new::<T>(CodecFailure::MissingFeature("bincode"))),
            _ => Err(CodecError::new::<T>(CodecFailure::UnknownFormat)),
        }
    }
}

#[cfg(feature = "bincode")]
fn bincode_config() -> impl bincode::config::Config {
    bincode::config::standard().with_limit::<BINCODE_LIMIT>()
}

/// A value could not be encoded or decoded. Names the Rust type, never the value.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct CodecError {
    type_name: &'static str,
    failure: CodecFailure,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum CodecFailure {
    Encode,
    Decode,
    #[cfg_attr(
        all(feature = "messagepack", feature = "bincode"),
        allow(dead_code, reason = "nothing is missing")
    )]
    MissingFeature(&'static str),
    UnknownFormat,
}

impl CodecError {
    fn new<T: ?Sized>(failure: CodecFailure) -> Self {
        Self { type_name: std::any::type_name::<T>(), failure }
    }
}

impl fmt::Display for CodecError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let type_name = self.type_name;
        match self.failure {
            CodecFailure::Encode => {
                write!(f, "encoding a {type_name} failed: use a type the codec can express")
            }
            CodecFailure::Decode => {
                write!(
                    f,
                    "decoding as {type_name} failed: the stored value has another type; remove or rewrite it"
                )
            }
            CodecFailure::MissingFeature(feature) => {
                write!(f, "decoding as {type_name} failed: enable the feature `{feature}` of holdover")
            }
            CodecFailure::UnknownFormat => {
                write!(
                    f,
                    "decoding as {type_name} failed: the format is unknown; was it written by a newer version?"
                )
            }
        }
    }
}

impl std::error::Error for CodecError {}

#[cfg(test)]
mod tests {
    use serde::Deserialize;

    use super::*;

    #[derive(Serialize, Deserialize, Debug, PartialEq)]
    struct Basket {
        owner: String,
        items: Vec<u32>,
    }

    fn codecs() -> Vec<Codec> {
        vec![
            Codec::Json,
            #[cfg(feature = "messagepack")]
            Codec::MessagePack,
            #[cfg(feature = "bincode")]
            Codec::Bincode,
        ]
    }

    #[test]
    fn every_codec_round_trips_and_reads_every_other() {
        let basket = Basket { owner: "ada".into(), items: vec![1, 70_000] };
        for codec in codecs() {
            let bytes = codec.encode(&basket).unwrap();
            assert_eq!(Codec::decode::<Basket>(&bytes).unwrap(), basket, "{codec:?}");
        }
    }

    #[test]
    fn undecodable_bytes_are_an_error_for_every_codec() {
        for format in [JSON, MESSAGE_PACK, BINCODE, 0, 255] {
            for rest in [&b""[..], b"\xff\xff\xff\xff\xff\xff\xff\xff\xff", b"{", b"\xdd\xff\xff\xff\xff"] {
                let bytes = [&[format][..], rest].concat();
                assert!(Codec::decode::<Basket>(&bytes).is_err(), "{bytes:?}");
            }
        }
        assert!(Codec::decode::<Basket>(b"").is_err());
    }

    #[test]
    fn a_swapped_type_is_an_error_and_trailing_bytes_too() {
        for codec in codecs() {
            let bytes = codec.encode(&(7_u32, "seven")).unwrap();
            assert!(Codec::decode::<(String, u32)>(&bytes).is_err(), "{codec:?}");
            let longer = [&bytes[..], b"x"].concat();
            assert!(Codec::decode::<(u32, String)>(&longer).is_err(), "{codec:?}");
        }
    }

    #[test]
    fn errors_never_show_the_value() {
        let bytes = Codec::Json.encode("hunter2").unwrap();
        let error = Codec::decode::<u32>(&bytes).unwrap_err();
        assert!(!error.to_string().contains("hunter2"), "{error}");
        assert!(error.to_string().contains("u32"), "{error}");
    }
}
