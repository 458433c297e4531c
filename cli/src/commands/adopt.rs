//! `thaw adopt`: finds restores that other tools began.

use serde_json::{Value, json};

use crate::args::AdoptArgs;
use crate::context::Context;
use crate::error::Error;
use crate::exit::Exit;
use crate::output::{self, printable};
use crate::selection::uri;

/// Searches the whole prefix: as many calls as it takes.
pub fn run(args: &AdoptArgs, context: &Context<'_>) -> Result<Exit, Error> {
    let (bucket, prefix) = uri(&args.uri)?;
    let mut api = context.connect()?;
    let progress = context.terminal.progress();
    let (mut answers, mut cursor) = (Vec::new(), Value::Null);
    loop {
        let mut request = json!({ "bucket": bucket, "prefix": prefix });
        if !cursor.is_null() {
            request["cursor"] = cursor;
        }
        let answer = api.post("/v1/adoptions", &request, None)?;
        progress.set_message(answer["says"].as_str().unwrap_or_default().to_owned());
        cursor = answer["next_cursor"].clone();
        answers.push(answer);
        if cursor.is_null() {
            break;
        }
    }
    progress.finish_and_clear();
    output::list(context.form, &answers, &["bucket", "prefix", "looked_at", "known", "adopted", "says"], || {
        let sum = |field: &str| answers.iter().filter_map(|answer| answer[field].as_u64()).sum::<u64>();
        let mut text = format!(
            "Of {} objects: {} adopted, {} that thaw takes care of already.\n",
            sum("looked_at"),
            sum("adopted"),
            sum("known")
        );
        let restores = answers.iter().filter_map(|answer| answer["restores"].as_array()).flatten();
        for id in restores.filter_map(|restore| restore["id"].as_str()) {
            text.push_str(&format!("{}\n", printable(id)));
        }
        Ok(text)
    })?;
    Ok(Exit::Done)
}
