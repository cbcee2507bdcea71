//! Any call, as typed by the user.

use std::slice;

use super::arguments::Which;
use super::error::CommandError;
use super::roles::the_one;
use super::screen::Screen;
use super::status::check_runs;
use super::values;
use crate::client::blocking::{Client, wait};

/// `call`
pub(super) fn run(
    screen: &Screen,
    client: &mut Client,
    at: Which,
    method: &str,
    arguments: &[String],
) -> Result<(), CommandError> {
    let params: Result<Vec<_>, _> =
        arguments.iter().map(|argument| values::read(argument)).collect();
    let params = params.map_err(CommandError::usage)?;
    let id = the_one(client, at)?;
    let Some(server) = client.servers().get_mut(id) else {
        return Err(CommandError::usage(format!("there is no server {id}")));
    };
    let answer = wait(server.call(method, &params));
    check_runs(client, slice::from_ref(&answer))?;
    screen.show_json(&values::to_json(&answer?))
}
