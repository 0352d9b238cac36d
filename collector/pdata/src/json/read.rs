//! JSON text to protobuf bytes, message by message along the tables of `schema`.

use base64::Engine as _;
use base64::prelude::BASE64_STANDARD;

use super::schema::{Field, Kind, Label, Message};
use super::text::{Next, Text};
use super::{JsonError, Problem};
use crate::wire::{
    begin_message, end_message, put_bytes, put_fixed32_field, put_fixed64_field, put_varint, put_varint_field,
};

/// Messages inside messages: a request's own six, and three for each level of an attribute value, of which the index takes
/// 100.
const MESSAGE_DEPTH: usize = 320;

pub(super) fn read(text: &[u8], message: &'static Message) -> Result<Vec<u8>, JsonError> {
    // Keys and quotes weigh more than tags and lengths.
    let mut reader = Reader { text: Text::new(text), out: Vec::with_capacity(text.len() / 2), path: Vec::new() };
    match reader.document(message) {
        Ok(()) => Ok(reader.out),
        Err(problem) => Err(JsonError { path: path_text(&reader.path), problem, at: reader.text.position() }),
    }
}

enum Step {
    Key(&'static str),
    Item(usize),
}

/// `resourceSpans[0].scopeSpans[1].spans[2].traceId`
fn path_text(path: &[Step]) -> String {
    let mut text = String::new();
    for step in path {
        match step {
            Step::Key(key) if text.is_empty() => text.push_str(key),
            Step::Key(key) => {
                text.push('.');
                text.push_str(key);
            }
            Step::Item(number) => text.push_str(&format!("[{number}]")),
        }
    }
    text
}

struct Reader<'a> {
    text: Text<'a>,
    out: Vec<u8>,
    /// Where we are; after an error, where it is.
    path: Vec<Step>,
}

impl Reader<'_> {
    fn document(&mut self, message: &'static Message) -> Result<(), Problem> {
        if !self.text.null()? {
            self.text.open_object()?;
            self.fields(message)?;
        }
        self.text.finish()
    }

    /// The fields of an object whose brace was read.
    fn fields(&mut self, message: &'static Message) -> Result<(), Problem> {
        if self.path.len() > 2 * MESSAGE_DEPTH {
            return Err(Problem::Depth);
        }
        let mut expected = 0;
        let mut first = true;
        while let Some(key) = self.text.key(first)? {
            first = false;
            match find(message, &key, expected) {
                Some(index) => {
                    // Writers keep an order, and often this one.
                    expected = index + 1;
                    let field = &message.fields[index];
                    self.path.push(Step::Key(field.name));
                    self.field(field)?;
                    self.path.pop();
                }
                None => self.text.skip()?,
            }
        }
        Ok(())
    }

    fn field(&mut self, field: &'static Field) -> Result<(), Problem> {
        if self.text.null()? {
            // A chosen member of a oneof stays chosen where Go takes a null for it.
            if field.label == Label::Oneof && matches!(field.kind, Kind::Text | Kind::Message(_)) {
                put_bytes(&mut self.out, field.number, &[]);
            }
            return Ok(());
        }
        if field.label != Label::Repeated {
            return self.value(field);
        }
        self.text.open_list()?;
        match field.kind {
            Kind::Text | Kind::Message(_) => self.items(|reader| reader.value(field)),
            _ => {
                let at = begin_message(&mut self.out, field.number);
                self.items(|reader| reader.packed(field.kind))?;
                end_message(&mut self.out, at);
                Ok(())
            }
        }
    }

    fn items(&mut self, mut item: impl FnMut(&mut Self) -> Result<(), Problem>) -> Result<(), Problem> {
        let mut number = 0;
        while self.text.item(number == 0)? {
            self.path.push(Step::Item(number));
            item(self)?;
            self.path.pop();
            number += 1;
        }
        Ok(())
    }

    /// A value that is not null. Zero and empty ones are left out where that means the same.
    fn value(&mut self, field: &'static Field) -> Result<(), Problem> {
        let number = field.number;
        let keep_zero = field.label != Label::Plain;
        match field.kind {
            Kind::Message(message) => {
                // A null in a list is an empty message, as it is to Go.
                let is_null = self.text.null()?;
                let at = begin_message(&mut self.out, number);
                if !is_null {
                    self.text.open_object()?;
                    self.fields(message)?;
                }
                end_message(&mut self.out, at);
            }
            Kind::Text => {
                let text = self.text.string()?;
                if keep_zero || !text.is_empty() {
                    put_bytes(&mut self.out, number, &text);
                }
            }
            Kind::Bytes => {
                let text = self.text.string()?;
                let bytes = BASE64_STANDARD.decode(&*text).map_err(|_| Problem::Base64)?;
                if keep_zero || !bytes.is_empty() {
                    put_bytes(&mut self.out, number, &bytes);
                }
            }
            Kind::Id(len) => {
                let text = self.text.string()?;
                let mut id = [0; 16];
                let id = &mut id[..len];
                if !text.is_empty() {
                    unhex(&text, id)?;
                }
                if id.iter().any(|byte| *byte != 0) {
                    put_bytes(&mut self.out, number, id);
                }
            }
            kind => {
                let bits = self.number(kind)?;
                if keep_zero || bits != 0 {
                    match kind {
                        Kind::Fixed32 => put_fixed32_field(&mut self.out, number, bits as u32),
                        Kind::Fixed64 | Kind::Sfixed64 | Kind::Double => {
                            put_fixed64_field(&mut self.out, number, bits);
                        }
                        _ => put_varint_field(&mut self.out, number, bits),
                    }
                }
            }
        }
        Ok(())
    }

    fn packed(&mut self, kind: Kind) -> Result<(), Problem> {
        let bits = self.number(kind)?;
        match kind {
            Kind::Fixed64 | Kind::Sfixed64 | Kind::Double => self.out.extend_from_slice(&bits.to_le_bytes()),
            Kind::Fixed32 => self.out.extend_from_slice(&(bits as u32).to_le_bytes()),
            _ => put_varint(&mut self.out, bits),
        }
        Ok(())
    }

    /// A number's bits as they go on the wire.
    fn number(&mut self, kind: Kind) -> Result<u64, Problem> {
        match kind {
            Kind::Bool => return self.text.boolean().map(u64::from),
            Kind::Enum(names) if self.text.next()? == Next::String => {
                let name = self.text.string()?;
                let number = names.iter().position(|known| known.as_bytes() == &*name);
                return number.map(|number| number as u64).ok_or(Problem::EnumName);
            }
            _ => {}
        }
        let string;
        let digits = match self.text.next()? {
            Next::String => {
                string = self.text.string()?;
                std::str::from_utf8(&string).map_err(|_| Problem::Number)?
            }
            _ => self.text.number()?,
        };
        match kind {
            Kind::Double => {
                let value: f64 = digits.parse().map_err(|_| Problem::Number)?;
                // Words give infinity; digits that do are beyond a double's range.
                if value.is_infinite() && digits.bytes().any(|byte| byte.is_ascii_digit()) {
                    return Err(Problem::Range);
                }
                Ok(value.to_bits())
            }
            Kind::Int64 | Kind::Sfixed64 => integer::<i64>(digits).map(|value| value as u64),
            Kind::Int32 | Kind::Enum(_) => integer::<i32>(digits).map(|value| i64::from(value) as u64),
            Kind::Sint32 => integer::<i32>(digits).map(|value| u64::from((value << 1 ^ value >> 31) as u32)),
            // Go's unsigned numbers take no plus sign.
            _ if digits.starts_with('+') => Err(Problem::Expected("an integer")),
            Kind::Uint32 | Kind::Fixed32 => integer::<u32>(digits).map(u64::from),
            _ => integer::<u64>(digits),
        }
    }
}

fn integer<T: std::str::FromStr<Err = std::num::ParseIntError>>(digits: &str) -> Result<T, Problem> {
    use std::num::IntErrorKind::{NegOverflow, PosOverflow};
    digits.parse().map_err(|error: std::num::ParseIntError| match error.kind() {
        PosOverflow | NegOverflow => Problem::Range,
        // A fraction, an exponent or a sign that the field cannot have.
        _ => Problem::Expected("an integer"),
    })
}

fn unhex(text: &[u8], id: &mut [u8]) -> Result<(), Problem> {
    if text.len() != 2 * id.len() {
        return Err(Problem::IdLength);
    }
    let digit = |byte: u8| char::from(byte).to_digit(16).ok_or(Problem::Hex);
    for (out, pair) in id.iter_mut().zip(text.chunks_exact(2)) {
        *out = (digit(pair[0])? << 4 | digit(pair[1])?) as u8;
    }
    Ok(())
}

/// The field with this key, tried from `expected` on.
fn find(message: &Message, key: &[u8], expected: usize) -> Option<usize> {
    let n_fields = message.fields.len();
    (expected..n_fields).chain(0..expected.min(n_fields)).find(|&index| is_name(message.fields[index].name, key))
}

/// Whether `key` is a name in lowerCamelCase or in snake_case.
fn is_name(name: &str, key: &[u8]) -> bool {
    if key.len() == name.len() {
        return key == name.as_bytes();
    }
    let mut rest = key.iter();
    key.len() > name.len()
        && name.bytes().all(|letter| {
            if letter.is_ascii_uppercase() && rest.next() != Some(&b'_') {
                return false;
            }
            rest.next() == Some(&letter.to_ascii_lowercase())
        })
        && rest.next().is_none()
}
