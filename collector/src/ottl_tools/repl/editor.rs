//! The prompt on a terminal: line editing, history in a file, completion with Tab, colours while typing.

use std::borrow::Cow;
use std::io::Write;
use std::path::PathBuf;

use rustyline::completion::{Completer, FilenameCompleter, Pair};
use rustyline::error::ReadlineError;
use rustyline::highlight::{CmdKind, Highlighter};
use rustyline::hint::{Hinter, HistoryHinter};
use rustyline::history::DefaultHistory;
use rustyline::validate::Validator;
use rustyline::{CompletionType, Config, Context as LineContext, Editor, Helper};

use ottl::Context;

use super::super::Error;
use super::super::paint::Paint;
use super::complete::{Keys, asked, complete};
use super::session::{Reply, Session};

/// Lines that are remembered.
const HISTORY: usize = 1000;

/// Reads lines until the end.
pub(super) fn run(mut session: Session, out: &mut dyn Write) -> Result<(), Error> {
    let config = Config::builder()
        .max_history_size(HISTORY)
        .map_err(broken)?
        .completion_type(CompletionType::List)
        .auto_add_history(true)
        .build();
    let mut editor: Editor<Prompt, DefaultHistory> = Editor::with_config(config).map_err(broken)?;
    let history = history_file();
    if let Some(path) = &history {
        // There is none the first time.
        let _ = editor.load_history(path);
    }
    writeln!(
        out,
        "A condition or a value is asked of what is loaded; :help lists commands, Tab completes, Ctrl-D ends"
    )?;
    loop {
        editor.set_helper(Some(Prompt::of(&session)));
        let line = match editor.readline("ottl> ") {
            Ok(line) => line,
            // Ctrl-C drops the line.
            Err(ReadlineError::Interrupted) => continue,
            Err(ReadlineError::Eof) => break,
            Err(error) => return Err(broken(error)),
        };
        match session.enter(&line) {
            Reply::Text(text) => write!(out, "{text}")?,
            Reply::End => break,
        }
        out.flush()?;
    }
    if let Some(path) = &history {
        let saved = path.parent().map_or(Ok(()), std::fs::create_dir_all).map_err(ReadlineError::Io);
        if let Err(error) = saved.and_then(|()| editor.save_history(path)) {
            writeln!(out, "the history is not kept: {}: {error}", path.display())?;
        }
    }
    Ok(())
}

fn broken(error: ReadlineError) -> Error {
    Error::Output(std::io::Error::other(error))
}

/// Below the user's state directory, as the XDG base directory specification names it.
fn history_file() -> Option<PathBuf> {
    let state = std::env::var_os("XDG_STATE_HOME").map(PathBuf::from).filter(|path| path.is_absolute());
    let state = state.or_else(|| Some(PathBuf::from(std::env::var_os("HOME")?).join(".local/state")))?;
    Some(state.join("ottlcol/ottl_history"))
}

/// What the line editor asks while a line is typed.
struct Prompt {
    context: Context,
    keys: Keys,
    files: FilenameCompleter,
    history: HistoryHinter,
    paint: Paint,
}

impl Prompt {
    fn of(session: &Session) -> Self {
        Self {
            context: session.context_otherwise(),
            keys: Keys::of(&session.samples),
            files: FilenameCompleter::new(),
            history: HistoryHinter::new(),
            paint: session.paint(),
        }
    }
}

impl Completer for Prompt {
    type Candidate = Pair;

    fn complete(&self, line: &str, cursor: usize, context: &LineContext<'_>) -> rustyline::Result<(usize, Vec<Pair>)> {
        if line.starts_with(":load ") {
            return self.files.complete(line, cursor, context);
        }
        let (start, found) = complete(line, cursor, asked(line, self.context), &self.keys);
        Ok((start, found.into_iter().map(|text| Pair { display: text.clone(), replacement: text }).collect()))
    }
}

impl Hinter for Prompt {
    type Hint = String;

    fn hint(&self, line: &str, cursor: usize, context: &LineContext<'_>) -> Option<String> {
        self.history.hint(line, cursor, context)
    }
}

impl Highlighter for Prompt {
    fn highlight<'l>(&self, line: &'l str, _cursor: usize) -> Cow<'l, str> {
        if line.starts_with(':') { Cow::Borrowed(line) } else { Cow::Owned(self.paint.ottl(line)) }
    }

    fn highlight_hint<'h>(&self, hint: &'h str) -> Cow<'h, str> {
        Cow::Owned(self.paint.dim(hint))
    }

    fn highlight_char(&self, _line: &str, _cursor: usize, _kind: CmdKind) -> bool {
        self.paint.on
    }
}

impl Validator for Prompt {}

impl Helper for Prompt {}
