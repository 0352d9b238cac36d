//! One CSV record as contrib reads it with Go's `encoding/csv`.

/// The fields of a text that is one record. Lines beyond the first continue its last field, because a log entry is one
/// record however many lines it has. `lazy_quotes` lets quotes stand inside fields.
///
/// Nothing if the text has no line, or one without a readable field. A line that breaks off at a wrong quote keeps the
/// fields before it: upstream looks at the error only where there is no field.
pub fn read_row(text: &[u8], delimiter: char, lazy_quotes: bool) -> Option<Vec<Vec<u8>>> {
    if matches!(delimiter, '\0' | '"' | '\r' | '\n' | char::REPLACEMENT_CHARACTER) {
        return None;
    }
    let mut utf8 = [0; 4];
    let delimiter = delimiter.encode_utf8(&mut utf8).as_bytes();
    let mut reader = Reader { text, delimiter, lazy_quotes };
    let mut row: Option<Vec<Vec<u8>>> = None;
    while let Some((fields, whole)) = reader.record() {
        if !whole && fields.is_empty() {
            return None;
        }
        let Some(row) = &mut row else {
            row = Some(fields);
            continue;
        };
        let mut fields = fields.into_iter();
        if let (Some(last), Some(first)) = (row.last_mut(), fields.next()) {
            last.push(b'\n');
            last.extend_from_slice(&first);
        }
        row.extend(fields);
    }
    row
}

struct Reader<'t> {
    text: &'t [u8],
    delimiter: &'t [u8],
    lazy_quotes: bool,
}

impl<'t> Reader<'t> {
    /// The next line with its end as `\n`; a carriage return before it, or before the end of the text, is dropped.
    fn line(&mut self) -> Option<Vec<u8>> {
        if self.text.is_empty() {
            return None;
        }
        let end = memchr::memchr(b'\n', self.text);
        let (line, rest) = self.text.split_at(end.unwrap_or(self.text.len()));
        self.text = rest.get(1..).unwrap_or_default();
        let mut line = line.strip_suffix(b"\r").unwrap_or(line).to_vec();
        if end.is_some() {
            line.push(b'\n');
        }
        Some(line)
    }

    /// The fields of the next line that is not empty, and whether it was read to its end.
    fn record(&mut self) -> Option<(Vec<Vec<u8>>, bool)> {
        let mut line = loop {
            let line = self.line()?;
            // A carriage return that ended the text was dropped, so a line can be empty without a break too.
            if !matches!(line.as_slice(), b"" | b"\n") {
                break line;
            }
        };
        let mut at = 0;
        let mut fields = Vec::new();
        loop {
            let rest = &line[at..];
            if rest.first() != Some(&b'"') {
                let end = memchr::memmem::find(rest, self.delimiter);
                let field = match end {
                    Some(end) => &rest[..end],
                    None => rest.strip_suffix(b"\n").unwrap_or(rest),
                };
                if !self.lazy_quotes && field.contains(&b'"') {
                    return Some((fields, false));
                }
                fields.push(field.to_vec());
                match end {
                    Some(end) => at += end + self.delimiter.len(),
                    None => return Some((fields, true)),
                }
                continue;
            }
            at += 1;
            let mut field = Vec::new();
            loop {
                let rest = &line[at..];
                let Some(quote) = memchr::memchr(b'"', rest) else {
                    field.extend_from_slice(rest);
                    // The field goes on in the next line, unless the text ends here.
                    match self.line() {
                        Some(next) if !rest.is_empty() => {
                            line = next;
                            at = 0;
                            continue;
                        }
                        _ => {
                            if self.lazy_quotes {
                                fields.push(field);
                            }
                            return Some((fields, self.lazy_quotes));
                        }
                    }
                };
                field.extend_from_slice(&rest[..quote]);
                at += quote + 1;
                let rest = &line[at..];
                if rest.first() == Some(&b'"') {
                    field.push(b'"');
                    at += 1;
                } else if rest.starts_with(self.delimiter) {
                    at += self.delimiter.len();
                    fields.push(field);
                    break;
                } else if matches!(rest, b"" | b"\n") {
                    fields.push(field);
                    return Some((fields, true));
                } else if self.lazy_quotes {
                    field.push(b'"');
                } else {
                    return Some((fields, false));
                }
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn check(text: &str, lazy_quotes: bool, expected: Option<&[&str]>) {
        let row = read_row(text.as_bytes(), ',', lazy_quotes);
        let expected = expected.map(|fields| fields.iter().map(|field| field.as_bytes().to_vec()).collect::<Vec<_>>());
        assert_eq!(row, expected, "{text:?}");
    }

    #[test]
    fn rows() {
        check("a,b,c", false, Some(&["a", "b", "c"]));
        check("a,\"b,c\",d", false, Some(&["a", "b,c", "d"]));
        check("\"a\"\"b\",2", false, Some(&["a\"b", "2"]));
        check("a,b\"c,d", false, Some(&["a"]));
        check("a,b\"c,d", true, Some(&["a", "b\"c", "d"]));
        check("1,\"2", false, Some(&["1"]));
        check("1,\"2", true, Some(&["1", "2"]));
        check("\"a\" b,c", true, Some(&["a\" b,c"]));
        check("", false, None);
        check("\"x\"y", false, None);
        check("a,", false, Some(&["a", ""]));
    }

    #[test]
    fn lines_continue_the_last_field() {
        check("1,2\n3,4", false, Some(&["1", "2\n3", "4"]));
        check("a,\nb,c", false, Some(&["a", "\nb", "c"]));
        check("a,\"b\nc\",d\n", false, Some(&["a", "b\nc", "d"]));
        check("a,b\n\r", false, Some(&["a", "b"]));
        check("\na,b\r\n", false, Some(&["a", "b"]));
    }
}
