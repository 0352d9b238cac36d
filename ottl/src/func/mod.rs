//! The registry of converters: signature, construction-time preparation and interpreter body, one file each.
//!
//! Binding is generic and lives in `check.rs`: positional and named arguments, counts, conversion of literals (a literal
//! that does not convert is refused when the condition is built) and, at run time, conversion by [`ParamKind`]. A body
//! therefore sees converted values only. A body never reads a clock, a zone or randomness except through [`Call`].
//!
//! To add a converter: write `func/<name>.rs` with `pub(super) static FUNCTION: Function`, add it to `ALL`.

mod affix;
mod calendar;
mod case;
mod coalesce;
mod community_id;
mod concat;
mod contains_value;
pub(crate) mod convert;
mod decode;
mod duration;
mod extract_grok_patterns;
mod extract_patterns;
mod format;
mod has_attr_on_datapoint;
mod hash;
mod ids;
mod instant;
mod is_empty;
mod is_in_cidr;
mod is_match;
mod is_root_span;
mod is_type;
mod is_valid_luhn;
mod keys_values;
mod len;
mod numbers;
mod parse_csv;
mod parse_json;
mod parse_key_value;
mod parse_severity;
mod slice_to_map;
mod sort;
mod split;
mod substring;
pub(crate) mod text_form;
mod time;
mod to_key_value_string;
mod trim;
mod url;
mod user_agent;
mod uuid;
mod xml;

use std::{any::Any, borrow::Cow};

use crate::{
    context::Context,
    error::EvalError,
    ir::Type,
    value::{List, Map, Time, Value, Zone},
};

/// Every converter. Order does not matter: lookup is by name.
static ALL: &[&Function] = &[
    &affix::HAS_PREFIX,
    &affix::HAS_SUFFIX,
    &affix::TRIM_PREFIX,
    &affix::TRIM_SUFFIX,
    &calendar::DAY,
    &calendar::HOUR,
    &calendar::MINUTE,
    &calendar::MONTH,
    &calendar::NANOSECOND,
    &calendar::SECOND,
    &calendar::UNIX_MICRO,
    &calendar::UNIX_MILLI,
    &calendar::UNIX_NANO,
    &calendar::UNIX_SECONDS,
    &calendar::WEEKDAY,
    &calendar::YEAR,
    &case::CONVERT_CASE,
    &case::TO_CAMEL,
    &case::TO_LOWER,
    &case::TO_SNAKE,
    &case::TO_UPPER,
    &coalesce::FUNCTION,
    &community_id::FUNCTION,
    &concat::FUNCTION,
    &contains_value::CONTAINS_VALUE,
    &contains_value::INDEX,
    &decode::BASE64_ENCODE,
    &decode::DECODE,
    &duration::DURATION,
    &duration::HOURS,
    &duration::MICROSECONDS,
    &duration::MILLISECONDS,
    &duration::MINUTES,
    &duration::NANOSECONDS,
    &duration::SECONDS,
    &extract_grok_patterns::FUNCTION,
    &extract_patterns::FUNCTION,
    &format::FUNCTION,
    &has_attr_on_datapoint::KEY_AND_VALUE,
    &has_attr_on_datapoint::KEY_ONLY,
    &hash::FNV,
    &hash::MD5,
    &hash::MURMUR3,
    &hash::MURMUR3_128,
    &hash::SHA1,
    &hash::SHA256,
    &hash::SHA512,
    &hash::XXH128,
    &hash::XXH3,
    &ids::HEX,
    &ids::SPAN_ID,
    &ids::TRACE_ID,
    &instant::NOW,
    &instant::TRUNCATE_TIME,
    &instant::UNIX,
    &is_empty::FUNCTION,
    &is_in_cidr::FUNCTION,
    &is_match::FUNCTION,
    &is_root_span::FUNCTION,
    &is_type::IS_BOOL,
    &is_type::IS_DOUBLE,
    &is_type::IS_INT,
    &is_type::IS_LIST,
    &is_type::IS_MAP,
    &is_type::IS_STRING,
    &is_valid_luhn::FUNCTION,
    &keys_values::KEYS,
    &keys_values::VALUES,
    &len::FUNCTION,
    &numbers::BOOL,
    &numbers::DOUBLE,
    &numbers::INT,
    &numbers::LOG,
    &numbers::PARSE_INT,
    &numbers::STRING,
    &parse_csv::FUNCTION,
    &parse_json::FUNCTION,
    &parse_key_value::FUNCTION,
    &parse_severity::FUNCTION,
    &slice_to_map::FUNCTION,
    &sort::FUNCTION,
    &split::FUNCTION,
    &substring::FUNCTION,
    &time::FORMAT_TIME,
    &time::TIME,
    &to_key_value_string::FUNCTION,
    &trim::FUNCTION,
    &url::FUNCTION,
    &user_agent::FUNCTION,
    &uuid::UUID,
    &uuid::UUID_V7,
    &xml::ATTRIBUTES_TO_ELEMENTS,
    &xml::GET,
    &xml::INSERT,
    &xml::PARSE,
    &xml::PARSE_SIMPLIFIED,
    &xml::REMOVE,
    &xml::TEXT_TO_ELEMENTS,
];

/// All converters in order of registration.
pub fn all() -> impl Iterator<Item = &'static Function> {
    ALL.iter().copied()
}

/// The converter of that exact name.
#[must_use]
pub fn find(name: &str) -> Option<&'static Function> {
    all().find(|function| function.name == name)
}

/// A converter.
pub struct Function {
    /// As written in OTTL.
    pub name: &'static str,
    /// Contexts it is registered in; empty = all.
    pub contexts: &'static [Context],
    /// Parameters in order, optional ones last.
    pub params: &'static [Param],
    /// Static type of the result, [`Type::Any`] where it depends on the data.
    pub returns: Type,
    /// Paths of the own context that the body reads without naming them: they follow the parameters as arguments.
    pub implicit: &'static [&'static str],
    /// What it takes from the host.
    pub needs: Needs,
    /// Construction-time checks and state; runs for every call in a text, also in dead branches. An error refuses the text.
    pub prepare: Option<Prepare>,
    /// The body.
    pub eval: for<'e> fn(&Call<'_, 'e>) -> Result<Value<'e>, EvalError>,
    /// One line for `ottlcol ottl functions`.
    pub help: &'static str,
}

impl std::fmt::Debug for Function {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Function").field("name", &self.name).finish_non_exhaustive()
    }
}

impl Function {
    /// A converter of all contexts without implicit paths, needs or preparation; change fields with struct update syntax.
    #[must_use]
    pub const fn new(
        name: &'static str,
        params: &'static [Param],
        returns: Type,
        eval: for<'e> fn(&Call<'_, 'e>) -> Result<Value<'e>, EvalError>,
        help: &'static str,
    ) -> Self {
        Self { name, contexts: &[], params, returns, implicit: &[], needs: Needs::Nothing, prepare: None, eval, help }
    }
}

/// What a converter takes from the host besides its arguments. Such calls are never shared between places of a text.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Needs {
    /// Nothing: equal arguments give equal results.
    Nothing,
    /// The time of day.
    Clock,
    /// The time of day for some arguments, such as a text without a year; those are errors without a clock.
    ClockForSome,
    /// Random bytes.
    Randomness,
    /// Both.
    ClockAndRandomness,
}

/// A parameter.
#[derive(Clone, Copy, Debug)]
pub struct Param {
    /// The Go field's name, which decides what names reach it: `Utf8Safe` is reached by `utf8_safe`, `URL` by nothing.
    pub name: &'static str,
    /// What it accepts.
    pub kind: ParamKind,
    /// Whether it may be left out.
    pub optional: bool,
}

impl Param {
    /// A required parameter.
    #[must_use]
    pub const fn required(name: &'static str, kind: ParamKind) -> Self {
        Self { name, kind, optional: false }
    }

    /// A parameter that may be left out.
    #[must_use]
    pub const fn optional(name: &'static str, kind: ParamKind) -> Self {
        Self { name, kind, optional: true }
    }
}

/// What a parameter accepts and what the body sees. Strict kinds convert nothing; the `Like` kinds follow section 9.2 of
/// contrib's behaviour and give [`Value::Nil`] for nil.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum ParamKind {
    /// Any value, unchanged.
    Any,
    /// [`Value::Str`] only.
    String,
    /// [`Value::Int`] only, no doubles.
    Int,
    /// [`Value::Double`] only, no ints.
    Float,
    /// [`Value::Bool`] only.
    Bool,
    /// [`Value::Time`] only.
    Time,
    /// [`Value::Duration`] only.
    Duration,
    /// [`Value::Map`] of any Go type.
    Map,
    /// [`Value::List`] of any Go type whose items a pdata slice can hold.
    Slice,
    /// Any value with a text form, as [`Value::Str`] or nil.
    StringLike,
    /// Strings, bools, numbers as [`Value::Int`] or nil.
    IntLike,
    /// Strings, bools, numbers as [`Value::Double`] or nil.
    FloatLike,
    /// Strings, bools, numbers as [`Value::Bool`] or nil.
    BoolLike,
    /// Strings, bools, numbers, bytes as [`Value::Bytes`] or nil.
    BytesLike,
    /// A string token, nothing computed.
    LiteralString,
    /// An int token.
    LiteralInt,
    /// A float token.
    LiteralFloat,
    /// `true` or `false`.
    LiteralBool,
    /// A list literal, each item of the given kind; items are evaluated one by one with [`Call::item`].
    ListOf(&'static ParamKind),
    /// A list literal, or any value that is a list at run time.
    SliceOf(&'static ParamKind),
    /// The bare name of a converter.
    FunctionRef,
    /// A lambda; always refused, because upstream's gate for them is off by default.
    Lambda,
}

/// Checks literals and makes construction-time state.
pub type Prepare = fn(&Literals<'_>) -> Result<Prepared, Refusal>;

/// Why a call cannot be made with these literals.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Refusal {
    /// The parameter whose argument it is about.
    pub parameter: usize,
    /// Without a full stop.
    pub message: String,
}

impl Refusal {
    /// Makes refusals of one parameter's argument out of messages.
    pub(crate) fn of(parameter: usize) -> impl Fn(String) -> Self {
        move |message| Self { parameter, message }
    }
}

/// Construction-time state of one call, such as a compiled regex. Bodies get it back with [`Call::prepared`].
pub type Prepared = Option<Box<dyn Any + Send + Sync>>;

/// What is known of a call's arguments when it is built.
#[derive(Debug)]
pub struct Literals<'a> {
    pub(crate) args: &'a [LiteralArg],
    pub(crate) limits: &'a crate::limits::Limits,
}

/// What is known of one argument when its call is built.
#[derive(Clone, Debug)]
pub enum LiteralArg {
    /// Left out.
    Absent,
    /// Known, and already converted to the parameter's kind.
    Value(Value<'static>),
    /// A list literal of a `ListOf` or `SliceOf` parameter: `None` for items that only the data decide.
    List(Vec<Option<Value<'static>>>),
    /// The name given to a `FunctionRef` parameter.
    Function(&'static Function),
    /// Only the data decide.
    Dynamic,
}

impl<'a> Literals<'a> {
    /// The argument of parameter `index`.
    #[must_use]
    pub fn get(&self, index: usize) -> &'a LiteralArg {
        self.args.get(index).unwrap_or(&LiteralArg::Absent)
    }

    /// The argument's value if it is a literal.
    #[must_use]
    pub fn value(&self, index: usize) -> Option<&'a Value<'static>> {
        match self.get(index) {
            LiteralArg::Value(value) => Some(value),
            _ => None,
        }
    }

    /// The argument's text if it is a literal string. (String literals of a text are UTF-8, so nothing is lost.)
    #[must_use]
    pub fn str(&self, index: usize) -> Option<&'a str> {
        match self.value(index) {
            Some(Value::Str(text)) => std::str::from_utf8(text).ok(),
            _ => None,
        }
    }

    /// Limits that preparation must keep: size of a compiled regex and the like.
    #[must_use]
    pub fn limits(&self) -> &'a crate::limits::Limits {
        self.limits
    }
}

/// Gives arguments on demand, so that a body decides the order and may leave later ones unevaluated, as `Coalesce` does.
/// Implemented by the interpreter.
pub(crate) trait Arguments<'e> {
    /// Whether argument `index` was given.
    fn given(&self, index: usize) -> bool;
    /// The argument before conversion.
    fn raw(&self, index: usize) -> Result<Value<'e>, EvalError>;
    /// Conversion by the parameter's kind.
    fn convert(&self, index: usize, value: Value<'e>) -> Result<Value<'e>, EvalError>;
    /// Number of items of a list literal; `None` if the argument is not one.
    fn literal_len(&self, index: usize) -> Option<usize>;
    /// Item `item` of a list literal, converted by the item kind.
    fn literal_item(&self, index: usize, item: usize) -> Result<Value<'e>, EvalError>;
}

/// What the host lends to an evaluation.
#[derive(Clone, Copy)]
pub(crate) struct HostRef<'a> {
    pub(crate) host: &'a crate::program::Host,
}

/// One call of a converter.
pub struct Call<'a, 'e> {
    pub(crate) args: &'a dyn Arguments<'e>,
    pub(crate) prepared: Option<&'e (dyn Any + Send + Sync)>,
    pub(crate) host: HostRef<'a>,
    pub(crate) limits: &'a crate::limits::Limits,
}

impl std::fmt::Debug for Call<'_, '_> {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Call").finish_non_exhaustive()
    }
}

impl<'e> Call<'_, 'e> {
    /// Whether an optional argument was given.
    #[must_use]
    pub fn given(&self, index: usize) -> bool {
        self.args.given(index)
    }

    /// Evaluates and converts argument `index`; [`Value::Nil`] if it was left out.
    pub fn arg(&self, index: usize) -> Result<Value<'e>, EvalError> {
        if !self.given(index) {
            return Ok(Value::Nil);
        }
        self.args.convert(index, self.args.raw(index)?)
    }

    /// As [`Call::arg`], but `Ok(None)` where the argument has a value of a type its parameter does not accept. An error
    /// raised while the argument is computed stays an error: this is the difference that `IsString` and its like make.
    pub fn arg_of_type(&self, index: usize) -> Result<Option<Value<'e>>, EvalError> {
        match self.args.convert(index, self.args.raw(index)?) {
            Ok(value) => Ok(Some(value)),
            Err(EvalError::Type) => Ok(None),
            Err(other) => Err(other),
        }
    }

    /// A string argument (kinds `String`, `LiteralString`). Errors where it is nil.
    pub fn str(&self, index: usize) -> Result<Cow<'e, [u8]>, EvalError> {
        self.opt_str(index)?.ok_or(EvalError::Type)
    }

    /// A string argument (kinds `String`, `LiteralString`, `StringLike`); `None` where it is nil or left out.
    pub fn opt_str(&self, index: usize) -> Result<Option<Cow<'e, [u8]>>, EvalError> {
        match self.arg(index)? {
            Value::Str(text) => Ok(Some(text)),
            Value::Nil => Ok(None),
            _ => Err(EvalError::Type),
        }
    }

    /// An int argument (kinds `Int`, `LiteralInt`). Errors where it is nil.
    pub fn int(&self, index: usize) -> Result<i64, EvalError> {
        self.opt_int(index)?.ok_or(EvalError::Type)
    }

    /// An int argument (kinds `Int`, `LiteralInt`, `IntLike`); `None` where it is nil or left out.
    pub fn opt_int(&self, index: usize) -> Result<Option<i64>, EvalError> {
        match self.arg(index)? {
            Value::Int(number) => Ok(Some(number)),
            Value::Nil => Ok(None),
            _ => Err(EvalError::Type),
        }
    }

    /// A double argument (kinds `Float`, `LiteralFloat`, `FloatLike`); `None` where it is nil or left out.
    pub fn opt_float(&self, index: usize) -> Result<Option<f64>, EvalError> {
        match self.arg(index)? {
            Value::Double(number) => Ok(Some(number)),
            Value::Nil => Ok(None),
            _ => Err(EvalError::Type),
        }
    }

    /// A bool argument (kinds `Bool`, `LiteralBool`, `BoolLike`); `None` where it is nil or left out.
    pub fn opt_bool(&self, index: usize) -> Result<Option<bool>, EvalError> {
        match self.arg(index)? {
            Value::Bool(flag) => Ok(Some(flag)),
            Value::Nil => Ok(None),
            _ => Err(EvalError::Type),
        }
    }

    /// A bytes argument (kind `BytesLike`); `None` where it is nil or left out.
    pub fn opt_bytes(&self, index: usize) -> Result<Option<Cow<'e, [u8]>>, EvalError> {
        match self.arg(index)? {
            Value::Bytes(bytes) => Ok(Some(bytes)),
            Value::Nil => Ok(None),
            _ => Err(EvalError::Type),
        }
    }

    /// A time argument.
    pub fn time(&self, index: usize) -> Result<Time, EvalError> {
        match self.arg(index)? {
            Value::Time(time) => Ok(time),
            _ => Err(EvalError::Type),
        }
    }

    /// A duration argument, in nanoseconds.
    pub fn duration(&self, index: usize) -> Result<i64, EvalError> {
        match self.arg(index)? {
            Value::Duration(nanos) => Ok(nanos),
            _ => Err(EvalError::Type),
        }
    }

    /// A map argument.
    pub fn map(&self, index: usize) -> Result<Map<'e>, EvalError> {
        match self.arg(index)? {
            Value::Map(map) => Ok(map),
            _ => Err(EvalError::Type),
        }
    }

    /// A list argument (kind `Slice`).
    pub fn list(&self, index: usize) -> Result<List<'e>, EvalError> {
        match self.arg(index)? {
            Value::List(list) => Ok(list),
            _ => Err(EvalError::Type),
        }
    }

    /// Number of items if argument `index` is a list literal (kinds `ListOf`, `SliceOf`); `None` if it is computed.
    #[must_use]
    pub fn literal_len(&self, index: usize) -> Option<usize> {
        self.args.literal_len(index)
    }

    /// Item `item` of a list literal, converted by the item kind.
    pub fn item(&self, index: usize, item: usize) -> Result<Value<'e>, EvalError> {
        self.args.literal_item(index, item)
    }

    /// What `prepare` made, if it made a `T`.
    #[must_use]
    pub fn prepared<T: Any>(&self) -> Option<&'e T> {
        self.prepared.and_then(|state| state.downcast_ref())
    }

    /// The time of day, in the process's zone. Declared with [`Needs::Clock`], so that a host without a clock is refused
    /// when the condition is built.
    pub fn now(&self) -> Result<Time, EvalError> {
        let clock = self.host.host.clock.as_ref().ok_or(EvalError::Argument)?;
        Ok(Time { zone: self.local_zone(), ..Time::from_unix_nano(clock()) })
    }

    /// Random bytes. Declared with [`Needs::Randomness`].
    pub fn random<const N: usize>(&self) -> Result<[u8; N], EvalError> {
        let source = self.host.host.random.as_ref().ok_or(EvalError::Argument)?;
        let mut bytes = [0; N];
        source(&mut bytes);
        Ok(bytes)
    }

    /// The process's zone, which `Unix`, `Now` and `Time` without a zone use.
    #[must_use]
    pub fn local_zone(&self) -> Zone {
        self.host.host.local_zone
    }

    /// Limits that the body must keep.
    #[must_use]
    pub fn limits(&self) -> &crate::limits::Limits {
        self.limits
    }
}
