//! `thaw ls` and `thaw objects`: lists that come in pages.

use serde_json::Value;

use crate::answers::{Listed, Object};
use crate::api::{self, Api};
use crate::args::{LsArgs, ObjectsArgs};
use crate::context::{Context, restore_path};
use crate::error::Error;
use crate::exit::Exit;
use crate::output::{self, size, table, time, times};

/// Restores on a page of the API.
const RESTORES_ON_A_PAGE: usize = 100;

/// Objects on a page of the API.
const OBJECTS_ON_A_PAGE: usize = 1_000;

/// Lists restores, newest first.
pub fn restores(args: &LsArgs, context: &Context<'_>) -> Result<Exit, Error> {
    let filter = args.status.as_ref().map(|status| format!("&status={}", status.as_str())).unwrap_or_default();
    let mut api = context.connect()?;
    let (items, more) =
        pages(&mut api, "/v1/restores", &filter, "restores", RESTORES_ON_A_PAGE, Some(args.limit), context)?;
    let columns = ["id", "status", "bucket", "tier", "objects", "requested_at", "completed_at", "problem", "says"];
    output::list(context.form, &items, &columns, || {
        let listed = items.iter().map(api::read::<Listed>).collect::<Result<Vec<_>, _>>()?;
        let rows = listed.into_iter().map(|one| {
            let end = match (one.completed_at, one.ready_between) {
                (Some(at), _) => format!("ended {}", time(at, &context.zone)),
                (None, Some(ready)) => format!("typically readable {}", times(ready, &context.zone)),
                (None, None) => String::new(),
            };
            vec![
                one.id,
                one.status.as_str().replace('_', " "),
                one.bucket,
                if one.publish_only { "publish only" } else { one.tier.as_str() }.to_owned(),
                time(one.requested_at, &context.zone),
                end,
            ]
        });
        Ok(table(&["ID", "STATUS", "BUCKET", "TIER", "REQUESTED", "END"], rows))
    })?;
    if more {
        context.terminal.say(&format!("There are more. These are the newest {}; --limit shows more.", args.limit));
    }
    Ok(Exit::Done)
}

/// Lists the objects of a restore.
pub fn objects(args: &ObjectsArgs, context: &Context<'_>) -> Result<Exit, Error> {
    let path = format!("{}/objects", restore_path(&args.id)?);
    let filter = args.state.as_ref().map(|state| format!("&state={state}")).unwrap_or_default();
    let mut api = context.connect()?;
    let (items, more) = pages(&mut api, &path, &filter, "objects", OBJECTS_ON_A_PAGE, args.limit, context)?;
    let columns =
        ["key", "version_id", "size", "kind", "state", "since", "copy_expires", "how", "paths", "code", "message"];
    output::list(context.form, &items, &columns, || {
        let listed = items.iter().map(api::read::<Object>).collect::<Result<Vec<_>, _>>()?;
        let rows = listed.into_iter().map(|one| {
            let note = match (one.message, one.copy_expires) {
                (Some(message), _) => message,
                (None, Some(at)) => format!("until {}", time(at, &context.zone)),
                (None, None) => String::new(),
            };
            let key = match one.version_id {
                Some(version) => format!("{} ({version})", one.key),
                None => one.key,
            };
            vec![one.state, time(one.since, &context.zone), size(one.size), key, note]
        });
        Ok(table(&["STATE", "SINCE", "SIZE", "KEY", ""], rows))
    })?;
    if more {
        context.terminal.say("There are more; --limit shows more.");
    }
    Ok(Exit::Done)
}

/// The items of all pages up to a limit, and whether there are more.
fn pages(
    api: &mut Api<'_>,
    path: &str,
    filter: &str,
    field: &str,
    on_a_page: usize,
    limit: Option<usize>,
    context: &Context<'_>,
) -> Result<(Vec<Value>, bool), Error> {
    let (mut items, mut cursor) = (Vec::new(), None::<String>);
    let progress = context.terminal.progress();
    loop {
        let wanted = limit.map_or(on_a_page, |limit| (limit - items.len()).clamp(1, on_a_page));
        let after = cursor.map(|cursor| format!("&cursor={cursor}")).unwrap_or_default();
        let (page, _) = api.get(&format!("{path}?limit={wanted}{filter}{after}"))?;
        let Some(found) = page[field].as_array() else {
            return Err(Error::Failed(format!("The answer has no {field}. --verbose shows which address answered.")));
        };
        items.extend(found.iter().cloned());
        progress.set_message(format!("{} {field}", items.len()));
        cursor = page["next_cursor"].as_str().map(str::to_owned);
        if cursor.is_none() || limit.is_some_and(|limit| items.len() >= limit) {
            progress.finish_and_clear();
            return Ok((items, cursor.is_some()));
        }
    }
}
