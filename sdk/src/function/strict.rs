//! A serialiser that watches what postcard cannot: skipped fields, and structure not met before.
//!
//! postcard writes fields without names, so a field skipped by `skip_serializing_if` shifts all that follow and the reader
//! gets garbage, perhaps without an error. serde's derive announces every skip by `skip_field`; postcard ignores the call,
//! this wrapper turns it into an error.
//!
//! Whether a value can be read back may depend on the value: `None` can where `Some(json)` cannot. So the wrapper also
//! notes which options, variants and collections were filled, and a value that fills a new one is tried anew.

use std::cell::Cell;

use serde::{
    Serialize, Serializer,
    ser::{
        Error as _, SerializeMap, SerializeSeq, SerializeStruct, SerializeStructVariant, SerializeTuple,
        SerializeTupleStruct, SerializeTupleVariant,
    },
};

/// The structure met in one value or many, as a set of 64 bits. Different structure may share a bit, and then one try
/// stands for both; on the other hand no run needs more than 64 tries.
#[derive(Debug, Default)]
pub(super) struct Structure(Cell<u64>);

impl Structure {
    pub(super) fn bits(&self) -> u64 {
        self.0.get()
    }
}

/// Where in a value the serialiser is: a hash of the way there, the same for all elements of a collection.
#[derive(Clone, Copy)]
pub(super) struct Trail<'a> {
    met: &'a Structure,
    hash: u64,
}

impl<'a> Trail<'a> {
    pub(super) fn new(met: &'a Structure) -> Trail<'a> {
        Trail { met, hash: 0 }
    }

    #[inline]
    fn step(self, part: u64) -> Trail<'a> {
        Trail { hash: (self.hash ^ part).wrapping_mul(0x9e37_79b9_7f4a_7c15).rotate_left(23), ..self }
    }

    #[inline]
    fn field(self, key: &'static str) -> Trail<'a> {
        self.step(key.as_ptr().addr() as u64)
    }

    /// Into something that other values may leave empty.
    #[inline]
    fn filled(self, part: u64) -> Trail<'a> {
        let inside = self.step(part);
        self.met.0.set(self.met.0.get() | 1 << (inside.hash >> 58));
        inside
    }
}

const SOME: u64 = 1 << 32;
const ELEMENT: u64 = 2 << 32;
const ENTRY: u64 = 3 << 32;

/// Passes everything on to `S`, except a skipped field.
pub(super) struct Strict<'a, S>(pub(super) S, pub(super) Trail<'a>);

/// Carries the wrapping into nested values.
struct Nested<'a, T: ?Sized>(&'a T, Trail<'a>);

impl<T: Serialize + ?Sized> Serialize for Nested<'_, T> {
    #[inline]
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        self.0.serialize(Strict(serializer, self.1))
    }
}

macro_rules! scalars {
    ($($method:ident: $type:ty),* $(,)?) => {$(
        #[inline]
        fn $method(self, value: $type) -> Result<S::Ok, S::Error> {
            self.0.$method(value)
        }
    )*};
}

impl<'a, S: Serializer> Serializer for Strict<'a, S> {
    type Ok = S::Ok;
    type Error = S::Error;
    type SerializeSeq = Strict<'a, S::SerializeSeq>;
    type SerializeTuple = Strict<'a, S::SerializeTuple>;
    type SerializeTupleStruct = Strict<'a, S::SerializeTupleStruct>;
    type SerializeTupleVariant = Strict<'a, S::SerializeTupleVariant>;
    type SerializeMap = Strict<'a, S::SerializeMap>;
    type SerializeStruct = Strict<'a, S::SerializeStruct>;
    type SerializeStructVariant = Strict<'a, S::SerializeStructVariant>;

    scalars! {
        serialize_bool: bool, serialize_i8: i8, serialize_i16: i16, serialize_i32: i32, serialize_i64: i64,
        serialize_i128: i128, serialize_u8: u8, serialize_u16: u16, serialize_u32: u32, serialize_u64: u64,
        serialize_u128: u128, serialize_f32: f32, serialize_f64: f64, serialize_char: char,
        serialize_str: &str, serialize_bytes: &[u8], serialize_unit_struct: &'static str,
    }

    fn serialize_none(self) -> Result<S::Ok, S::Error> {
        self.0.serialize_none()
    }

    fn serialize_unit(self) -> Result<S::Ok, S::Error> {
        self.0.serialize_unit()
    }

    fn serialize_some<T: Serialize + ?Sized>(self, value: &T) -> Result<S::Ok, S::Error> {
        self.0.serialize_some(&Nested(value, self.1.filled(SOME)))
    }

    fn serialize_unit_variant(
        self,
        name: &'static str,
        index: u32,
        variant: &'static str,
    ) -> Result<S::Ok, S::Error> {
        self.1.filled(u64::from(index));
        self.0.serialize_unit_variant(name, index, variant)
    }

    fn serialize_newtype_struct<T: Serialize + ?Sized>(
        self,
        name: &'static str,
        value: &T,
    ) -> Result<S::Ok, S::Error> {
        self.0.serialize_newtype_struct(name, &Nested(value, self.1))
    }

    fn serialize_newtype_variant<T: Serialize + ?Sized>(
        self,
        name: &'static str,
        index: u32,
        variant: &'static str,
        value: &T,
    ) -> Result<S::Ok, S::Error> {
        self.0.serialize_newtype_variant(
            name,
            index,
            variant,
            &Nested(value, self.1.filled(u64::from(index))),
        )
    }

    #[inline]
    fn serialize_seq(self, len: Option<usize>) -> Result<Self::SerializeSeq, S::Error> {
        let trail = if len == Some(0) { self.1 } else { self.1.filled(ELEMENT) };
        self.0.serialize_seq(len).map(|inner| Strict(inner, trail))
    }

    #[inline]
    fn serialize_tuple(self, len: usize) -> Result<Self::SerializeTuple, S::Error> {
        self.0.serialize_tuple(len).map(|inner| Strict(inner, self.1))
    }

    fn serialize_tuple_struct(
        self,
        name: &'static str,
        len: usize,
    ) -> Result<Self::SerializeTupleStruct, S::Error> {
        self.0.serialize_tuple_struct(name, len).map(|inner| Strict(inner, self.1))
    }

    fn serialize_tuple_variant(
        self,
        name: &'static str,
        index: u32,
        variant: &'static str,
        len: usize,
    ) -> Result<Self::SerializeTupleVariant, S::Error> {
        let trail = self.1.filled(u64::from(index));
        self.0.serialize_tuple_variant(name, index, variant, len).map(|inner| Strict(inner, trail))
    }

    fn serialize_map(self, len: Option<usize>) -> Result<Self::SerializeMap, S::Error> {
        let trail = if len == Some(0) { self.1 } else { self.1.filled(ENTRY) };
        self.0.serialize_map(len).map(|inner| Strict(inner, trail))
    }

    fn serialize_struct(self, name: &'static str, len: usize) -> Result<Self::SerializeStruct, S::Error> {
        self.0.serialize_struct(name, len).map(|inner| Strict(inner, self.1))
    }

    fn serialize_struct_variant(
        self,
        name: &'static str,
        index: u32,
        variant: &'static str,
        len: usize,
    ) -> Result<Self::SerializeStructVariant, S::Error> {
        let trail = self.1.filled(u64::from(index));
        self.0.serialize_struct_variant(name, index, variant, len).map(|inner| Strict(inner, trail))
    }

    fn collect_str<T: std::fmt::Display + ?Sized>(self, value: &T) -> Result<S::Ok, S::Error> {
        self.0.collect_str(value)
    }

    fn is_human_readable(&self) -> bool {
        self.0.is_human_readable()
    }
}

macro_rules! sequences {
    ($($trait:ident: $method:ident),* $(,)?) => {$(
        impl<S: $trait> $trait for Strict<'_, S> {
            type Ok = S::Ok;
            type Error = S::Error;

            #[inline]
            fn $method<T: Serialize + ?Sized>(&mut self, value: &T) -> Result<(), S::Error> {
                self.0.$method(&Nested(value, self.1))
            }

            #[inline]
            fn end(self) -> Result<S::Ok, S::Error> {
                self.0.end()
            }
        }
    )*};
}

sequences! {
    SerializeSeq: serialize_element, SerializeTuple: serialize_element,
    SerializeTupleStruct: serialize_field, SerializeTupleVariant: serialize_field,
}

macro_rules! structs {
    ($($trait:ident),* $(,)?) => {$(
        impl<S: $trait> $trait for Strict<'_, S> {
            type Ok = S::Ok;
            type Error = S::Error;

            fn serialize_field<T: Serialize + ?Sized>(&mut self, key: &'static str, value: &T) -> Result<(), S::Error> {
                self.0.serialize_field(key, &Nested(value, self.1.field(key)))
            }

            fn skip_field(&mut self, key: &'static str) -> Result<(), S::Error> {
                Err(S::Error::custom(format_args!("field `{key}` is skipped")))
            }

            fn end(self) -> Result<S::Ok, S::Error> {
                self.0.end()
            }
        }
    )*};
}

structs! { SerializeStruct, SerializeStructVariant }

impl<S: SerializeMap> SerializeMap for Strict<'_, S> {
    type Ok = S::Ok;
    type Error = S::Error;

    fn serialize_key<T: Serialize + ?Sized>(&mut self, key: &T) -> Result<(), S::Error> {
        self.0.serialize_key(&Nested(key, self.1))
    }

    fn serialize_value<T: Serialize + ?Sized>(&mut self, value: &T) -> Result<(), S::Error> {
        self.0.serialize_value(&Nested(value, self.1))
    }

    fn end(self) -> Result<S::Ok, S::Error> {
        self.0.end()
    }
}
