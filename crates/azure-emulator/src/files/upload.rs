//! A file that comes as a form.

use axum::extract::Multipart;
use axum::extract::multipart::Field;

use super::{Content, Sink};
use crate::problem::Problem;
use crate::world::Shared;

const MOST_TEXT: usize = 4 << 10;

/// A form with one file.
#[derive(Debug, Default)]
pub(crate) struct Form {
    pub(crate) file: Option<(String, Content)>,
    pub(crate) fields: Vec<(String, String)>,
}

impl Form {
    /// `part` is the name of the file's part.
    pub(crate) async fn read(shared: &Shared, mut multipart: Multipart, part: &str) -> Result<Self, Problem> {
        let broken = |error: axum::extract::multipart::MultipartError| Problem::invalid(error.body_text());
        let mut form = Self::default();
        while let Some(mut field) = multipart.next_field().await.map_err(broken)? {
            let name = field.name().unwrap_or_default().to_owned();
            if name == part && form.file.is_none() {
                let filename = field.file_name().unwrap_or_default().to_owned();
                let mut sink = Sink::new(shared).await?;
                while let Some(bytes) = field.chunk().await.map_err(broken)? {
                    sink.write(&bytes).await?;
                }
                form.file = Some((filename, sink.done().await?));
            } else if form.fields.len() < 16 {
                form.fields.push((name, text(field).await?));
            } else {
                return Err(Problem::invalid("The form has too many parts."));
            }
        }
        Ok(form)
    }

    pub(crate) fn field(&self, name: &str) -> Option<&str> {
        self.fields.iter().find(|(found, _)| found == name).map(|(_, value)| value.as_str())
    }
}

async fn text(mut field: Field<'_>) -> Result<String, Problem> {
    let mut bytes = Vec::new();
    while let Some(chunk) = field.chunk().await.map_err(|error| Problem::invalid(error.body_text()))? {
        bytes.extend_from_slice(&chunk);
        if bytes.len() > MOST_TEXT {
            return Err(Problem::invalid("A part of the form is too long."));
        }
    }
    String::from_utf8(bytes).map_err(|_| Problem::invalid("A part of the form is not UTF-8."))
}
