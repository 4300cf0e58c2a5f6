//! Reads a form with files (`multipart/form-data`, RFC 7578) as its bytes arrive.
//!
//! Pure: bytes in, events out. Holds no more than a delimiter or the headers of one part, so the
//! memory of a form does not depend on its size.

/// Longest headers of a part, in bytes. 8 KiB: the name of a file has at most some thousand.
const MAX_HEADER_BYTES: usize = 8 * 1024;
/// Longest boundary, in bytes (RFC 2046 5.1.1).
const MAX_BOUNDARY_BYTES: usize = 70;

/// A field of a form.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct Field {
    /// The name of the field.
    pub name: String,
    /// The name of a file; `None` for a field without one.
    pub file_name: Option<String>,
}

/// What the next bytes are.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Part {
    /// A field begins.
    Begin(Field),
    /// Bytes of the field.
    Bytes(Vec<u8>),
    /// The field ends.
    End,
}

/// The body is no such form, or the headers of a part are too long.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
#[error("the form cannot be read")]
pub struct Malformed;

/// Where in the form the reader is.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Place {
    /// Before the first delimiter.
    Preamble,
    /// After a delimiter: the form ends, or a part begins.
    Headers,
    /// In the content of a part.
    Content,
    /// After the last part.
    Epilogue,
}

/// Reads a form.
#[derive(Debug)]
pub struct Reader {
    /// A line break, two hyphens and the boundary.
    delimiter: Vec<u8>,
    /// Bytes that are not decided yet.
    held: Vec<u8>,
    /// Where the reader is.
    place: Place,
}

impl Reader {
    /// A reader for this `Content-Type`; `None` if it is another type, or if its boundary is not valid.
    pub fn of(content_type: &str) -> Option<Self> {
        let (kind, parameters) = content_type.split_once(';')?;
        if !kind.trim().eq_ignore_ascii_case("multipart/form-data") {
            return None;
        }
        let boundary = parameter(parameters, "boundary")?;
        let is_valid = |byte: u8| byte.is_ascii_graphic() || byte == b' ';
        if !(1..=MAX_BOUNDARY_BYTES).contains(&boundary.len()) || !boundary.bytes().all(is_valid) {
            return None;
        }
        Some(Self {
            delimiter: [b"\r\n--", boundary.as_bytes()].concat(),
            // The first delimiter may be at the very start.
            held: b"\r\n".to_vec(),
            place: Place::Preamble,
        })
    }

    /// Whether the form is complete.
    pub fn is_over(&self) -> bool {
        self.place == Place::Epilogue
    }

    /// Takes the next bytes; returns what they are.
    ///
    /// # Errors
    /// [`Malformed`].
    pub fn feed(&mut self, bytes: &[u8]) -> Result<Vec<Part>, Malformed> {
        let mut parts = Vec::new();
        if self.place == Place::Epilogue {
            return Ok(parts);
        }
        self.held.extend_from_slice(bytes);
        while self.step(&mut parts)? {}
        Ok(parts)
    }

    /// Reads on. Returns whether there may be more to read.
    fn step(&mut self, parts: &mut Vec<Part>) -> Result<bool, Malformed> {
        match self.place {
            Place::Preamble | Place::Content => {
                let found = find(&self.held, &self.delimiter);
                // What may be the start of a delimiter is kept.
                let undecided = self.delimiter.len() - 1;
                let end = found.unwrap_or_else(|| self.held.len().saturating_sub(undecided));
                let content: Vec<u8> = self.held.drain(..end).collect();
                let is_content = self.place == Place::Content;
                if is_content && !content.is_empty() {
                    parts.push(Part::Bytes(content));
                }
                if found.is_some() {
                    self.held.drain(..self.delimiter.len());
                    self.place = Place::Headers;
                    parts.extend(is_content.then_some(Part::End));
                }
                Ok(found.is_some())
            }
            Place::Headers => self.headers(parts),
            Place::Epilogue => {
                self.held.clear();
                Ok(false)
            }
        }
    }

    /// Reads what follows a delimiter: two hyphens end the form; otherwise headers follow, up to an
    /// empty line.
    fn headers(&mut self, parts: &mut Vec<Part>) -> Result<bool, Malformed> {
        if self.held.starts_with(b"--") {
            self.place = Place::Epilogue;
            return Ok(true);
        }
        let Some(end) = find(&self.held, b"\r\n\r\n") else {
            return match self.held.len() > MAX_HEADER_BYTES {
                true => Err(Malformed),
                false => Ok(false),
            };
        };
        if end > MAX_HEADER_BYTES {
            return Err(Malformed);
        }
        let headers: Vec<u8> = self.held.drain(..end + 4).collect();
        let headers = String::from_utf8_lossy(&headers);
        parts.push(Part::Begin(field(&headers).ok_or(Malformed)?));
        self.place = Place::Content;
        Ok(true)
    }
}

/// Where a pattern begins.
fn find(bytes: &[u8], pattern: &[u8]) -> Option<usize> {
    let mut from = 0;
    loop {
        let start = bytes.get(from..)?.iter().position(|b| *b == b'\r')? + from;
        if bytes.get(start..)?.starts_with(pattern) {
            return Some(start);
        }
        from = start + 1;
    }
}

/// The field that headers describe; `None` if they name none.
fn field(headers: &str) -> Option<Field> {
    let disposition = headers.split("\r\n").find_map(|line| {
        let (name, value) = line.split_once(':')?;
        let is_disposition = name.trim().eq_ignore_ascii_case("content-disposition");
        is_disposition.then_some(value)
    })?;
    let (kind, parameters) = disposition.split_once(';')?;
    if !kind.trim().eq_ignore_ascii_case("form-data") {
        return None;
    }
    Some(Field {
        name: parameter(parameters, "name")?,
        file_name: parameter(parameters, "filename"),
    })
}

/// A parameter of a header. In quotes a browser writes `%22` for a quotation mark (HTML, "multipart
/// form data"), and nothing for a backslash.
fn parameter(parameters: &str, wanted: &str) -> Option<String> {
    let mut rest = parameters;
    loop {
        let (name, after) = rest.split_once('=')?;
        let name = name.trim_matches([' ', '\t', ';']);
        let (value, after) = match after.trim_start().strip_prefix('"') {
            Some(quoted) => quoted.split_once('"')?,
            None => after.split_once(';').unwrap_or((after, "")),
        };
        if name.eq_ignore_ascii_case(wanted) {
            return Some(value.trim().replace("%22", "\""));
        }
        rest = after;
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    const TYPE: &str = "multipart/form-data; boundary=----x1";

    /// A form with these fields.
    fn form(fields: &[(&str, Option<&str>, &[u8])]) -> Vec<u8> {
        let mut body = Vec::new();
        for (name, file, content) in fields {
            body.extend(b"------x1\r\n");
            let file = file.map_or_else(String::new, |file| format!("; filename=\"{file}\""));
            let head = format!("Content-Disposition: form-data; name=\"{name}\"{file}\r\n");
            body.extend(head.as_bytes());
            body.extend(b"Content-Type: application/octet-stream\r\n\r\n");
            body.extend(*content);
            body.extend(b"\r\n");
        }
        body.extend(b"------x1--\r\n");
        body
    }

    /// The fields of a form that arrives in parts of these sizes, over and over.
    fn read(body: &[u8], sizes: &[usize]) -> Result<Vec<(Field, Vec<u8>)>, Malformed> {
        let mut reader = Reader::of(TYPE).expect("a form");
        let (mut fields, mut ended) = (Vec::<(Field, Vec<u8>)>::new(), 0);
        let (mut rest, mut sizes) = (body, sizes.iter().cycle());
        while !rest.is_empty() {
            let size = sizes
                .next()
                .copied()
                .unwrap_or(rest.len())
                .clamp(1, rest.len());
            let (next, after) = rest.split_at(size);
            for part in reader.feed(next)? {
                match part {
                    Part::Begin(field) => fields.push((field, Vec::new())),
                    Part::Bytes(bytes) => fields.last_mut().expect("begun").1.extend(bytes),
                    Part::End => ended += 1,
                }
            }
            assert!(
                reader.held.len() <= MAX_HEADER_BYTES + size,
                "memory is bounded"
            );
            rest = after;
        }
        assert!(!reader.is_over() || ended == fields.len());
        match reader.is_over() {
            true => Ok(fields),
            false => Err(Malformed),
        }
    }

    fn named(name: &str, file: Option<&str>) -> Field {
        Field {
            name: name.to_owned(),
            file_name: file.map(str::to_owned),
        }
    }

    #[test]
    fn fields_and_files_are_read_however_they_arrive() {
        let content = b"\r\n--\r\n------x\r\n\r\n-";
        let body = form(&[
            ("text", None, "안녕".as_bytes()),
            ("file", Some("a %22b%22; c=d.pdf"), content),
            ("file", Some(""), b""),
        ]);
        let fields = [
            (named("text", None), "안녕".as_bytes().to_vec()),
            (named("file", Some("a \"b\"; c=d.pdf")), content.to_vec()),
            (named("file", Some("")), Vec::new()),
        ];
        for sizes in [[1, 1], [2, 3], [7, 1000], [1000, 1]] {
            assert_eq!(read(&body, &sizes).as_deref(), Ok(&fields[..]), "{sizes:?}");
        }
        let before = [b"preamble\r\n".as_slice(), &body, b"epilogue"].concat();
        assert_eq!(read(&before, &[5]).as_deref(), Ok(&fields[..]));
    }

    #[test]
    fn what_is_no_form_is_refused() {
        for other in [
            "multipart/form-data",
            "multipart/form-data; boundary=",
            "multipart/mixed; boundary=x",
            "application/x-www-form-urlencoded; boundary=x",
            "multipart/form-data; boundary=\"a\u{1}\"",
        ] {
            assert!(Reader::of(other).is_none(), "{other}");
        }
        let quoted = "multipart/form-data; charset=utf-8; boundary=\"a b\"";
        assert!(Reader::of(quoted).is_some());
        let endless = [b"------x1\r\n".as_slice(), &[b'a'; 9_000]].concat();
        assert_eq!(read(&endless, &[100]), Err(Malformed));
        let unnamed = b"------x1\r\nContent-Type: text/plain\r\n\r\nx\r\n------x1--";
        assert_eq!(read(unnamed, &[100]), Err(Malformed));
        let cut = form(&[("text", None, b"hello")]);
        assert_eq!(read(&cut[..cut.len() - 6], &[100]), Err(Malformed));
    }

    proptest! {
        #[test]
        fn any_content_is_read_as_it_was_written_in_any_parts(
            contents in prop::collection::vec("[-x1\r\n\\PC]{0,40}", 0..4),
            sizes in prop::collection::vec(1_usize..60, 1..6),
        ) {
            prop_assume!(contents.iter().all(|it| !format!("\r\n{it}\r\n").contains("\r\n------x1")));
            let fields: Vec<_> = contents
                .iter()
                .map(|content| ("file", Some("a"), content.as_bytes()))
                .collect();
            let read = read(&form(&fields), &sizes).expect("a form");
            let found: Vec<_> = read.iter().map(|(_, content)| content.as_slice()).collect();
            let written: Vec<_> = contents.iter().map(|it| it.as_bytes()).collect();
            prop_assert_eq!(found, written);
        }

        #[test]
        fn any_bytes_are_read_without_a_panic(
            bytes in prop::collection::vec(any::<u8>(), 0..300),
            size in 1_usize..50,
        ) {
            let _ = read(&bytes, &[size]);
            let _ = read(&[b"------x1\r\n", bytes.as_slice()].concat(), &[size]);
        }
    }
}
