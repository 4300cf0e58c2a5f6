//! The overview: health, rooms, storage, certificate, backups, sessions, and the log of actions.

use super::{
    super::{
        action::{ActionKind, Outcome},
        backups::{self, BackupFile},
        session::SignedIn,
        visit::Visit,
    },
    layout::{Forms, alert, encoded, outcome, room_address, table, wide},
    numbers::{count, moment, size},
};
use crate::{
    i18n::{Locale, td_string},
    protocol::{MAX_ANNOUNCEMENT_CHARS, RoomName, RoomSummary},
    server::{
        clock::Moment,
        context::AppContext,
        disk,
        http::notes,
        store::{LoggedAction, OperatorSession, StoreError, StoredRoom},
    },
};
use axum::response::Html;
use leptos::prelude::*;
use std::time::SystemTime;

/// Rooms on the overview that are not open, the largest.
const STORED_ROOMS: u32 = 100;
/// A day in milliseconds.
const DAY_MS: i64 = 24 * 60 * 60 * 1000;

/// What the overview shows.
pub struct Overview {
    /// The problems of `/readyz`, by component.
    problems: Vec<&'static str>,
    /// The notes of `/readyz`, by component.
    notes: Vec<&'static str>,
    /// The rooms, the open ones first.
    rooms: Vec<RoomRow>,
    /// Stored bytes, and what bounds them.
    storage: Storage,
    /// The certificate of the HTTP address; `None` if a proxy has it.
    certificate: Option<CertificateRow>,
    /// The backups of the data directory.
    backups: Vec<BackupFile>,
    /// Who signed in.
    sessions: Vec<OperatorSession>,
    /// The newest actions.
    actions: Vec<LoggedAction>,
}

/// A room on the overview.
struct RoomRow {
    /// The name of the room.
    name: RoomName,
    /// People and people in the call; none for a room that nobody is in.
    open: Option<(u32, u32)>,
    /// Messages and bytes; none for a room without a message.
    stored: Option<(u64, u64)>,
}

/// Stored bytes, and what bounds them. A limit of 0 is none.
struct Storage {
    /// Bytes of all rooms.
    stored: u64,
    /// The limit of all rooms.
    limit: u64,
    /// The limit of one room.
    room_limit: u64,
    /// Bytes of the files of all rooms.
    files: u64,
    /// The limit of the files of all rooms.
    files_limit: u64,
    /// Bytes free on the disk, where the system says so.
    free: Option<u64>,
    /// Bytes of the disk that stay free.
    reserve: u64,
    /// Days that messages are kept; 0 is for ever.
    days: u32,
    /// Messages of a room that are kept; 0 is all.
    messages: u32,
}

/// The certificate of the HTTP address.
struct CertificateRow {
    /// DNS names and addresses, separated by commas.
    names: String,
    /// End of the validity, in milliseconds since the Unix epoch.
    ends_ms: i64,
    /// The reason of the last failed order; `None` after a success.
    failure: Option<String>,
}

impl CertificateRow {
    /// The certificate in use; `None` without TLS, or if the certificate cannot be read.
    fn load(context: &AppContext) -> Option<Self> {
        let tls = context.tls.as_ref()?;
        let facts = tls.facts()?;
        let ends = facts.not_after.duration_since(SystemTime::UNIX_EPOCH);
        Some(Self {
            names: facts.names.join(", "),
            ends_ms: i64::try_from(ends.unwrap_or_default().as_millis()).unwrap_or(i64::MAX),
            failure: tls.failure().map(|failure| failure.reason),
        })
    }
}

impl Overview {
    /// Loads what the overview shows, with this many actions.
    pub async fn load(context: &AppContext, actions: u32) -> Result<Self, StoreError> {
        let open = context.rooms.summaries();
        let named = open.iter().map(|room| room.name.clone()).collect();
        let stored = context.store.room_list(named, STORED_ROOMS).await?;
        let config = context.config.clone();
        let on_disk = move || {
            let free = disk::free_bytes(&config.data_dir).ok();
            (free, backups::list(&backups::directory(&config.data_dir)))
        };
        let on_disk = tokio::task::spawn_blocking(on_disk).await;
        let (free, backups) = on_disk.unwrap_or_default();
        let (quota, keep) = (
            context.config.store.quota,
            context.config.retention.defaults,
        );
        let problems = context.readiness.problems(context).await;
        Ok(Self {
            problems: problems.into_keys().collect(),
            notes: notes(context).into_keys().collect(),
            rooms: room_rows(&open, stored),
            storage: Storage {
                stored: context.store.stored_bytes(),
                limit: quota.history_bytes,
                room_limit: quota.room_bytes,
                files: context.store.stored_file_bytes(),
                files_limit: quota.file_bytes,
                free,
                reserve: quota.disk_reserve,
                days: keep.days,
                messages: keep.messages,
            },
            certificate: CertificateRow::load(context),
            backups,
            sessions: context.store.operator_sessions().await?,
            actions: context.store.operator_actions(actions).await?,
        })
    }
}

/// Joins the open rooms and the stored ones.
fn room_rows(open: &[RoomSummary], mut stored: Vec<StoredRoom>) -> Vec<RoomRow> {
    let mut rows: Vec<_> = open
        .iter()
        .map(|room| {
            let found = stored.iter().position(|known| known.name == room.name);
            let found = found.map(|place| stored.remove(place));
            RoomRow {
                name: room.name.clone(),
                open: Some((room.people, room.in_call)),
                stored: found.map(|room| (room.messages, room.bytes)),
            }
        })
        .collect();
    rows.extend(stored.into_iter().map(|room| RoomRow {
        name: room.name,
        open: None,
        stored: Some((room.messages, room.bytes)),
    }));
    rows
}

/// The page of all rooms, and of the server.
pub fn overview(
    visit: &Visit,
    signed_in: &SignedIn,
    overview: &Overview,
    said: Option<Outcome>,
) -> Html<String> {
    let locale = visit.locale;
    let forms = Forms {
        locale,
        visit,
        signed_in,
    };
    let title = td_string!(locale, admin.title);
    let body = view! {
        <h1>{title}</h1>
        {outcome(locale, said)}
        {health_section(&forms, overview)}
        {rooms_section(&forms, &overview.rooms)}
        {announce_section(&forms)}
        {storage_section(locale, &overview.storage)}
        {certificate_section(locale, overview.certificate.as_ref())}
        {backups_section(&forms, &overview.backups)}
        {sessions_section(&forms, &overview.sessions)}
        {log_section(locale, &overview.actions)}
    };
    wide(visit, &forms, title, body.into_any())
}

/// Whether messages can be stored, and what the operator should know.
fn health_section(forms: &Forms<'_>, overview: &Overview) -> AnyView {
    let locale = forms.locale;
    let sentences = overview
        .problems
        .iter()
        .chain(&overview.notes)
        .map(|part| match *part {
            "disk" => td_string!(locale, admin.health_disk),
            "retention" => td_string!(locale, admin.health_retention),
            "media" => td_string!(locale, admin.health_media),
            "certificate" => td_string!(locale, admin.health_certificate),
            _ => td_string!(locale, admin.health_database),
        });
    let sentences: Vec<_> = sentences.map(alert).collect();
    let well = overview
        .problems
        .is_empty()
        .then(|| view! { <p>{td_string!(locale, admin.healthy)}</p> });
    view! {
        <section id="health" data-live="" aria-labelledby="health-title">
            <h2 id="health-title">{td_string!(locale, admin.health)}</h2>
            {well}
            {sentences}
            <p>
                <a href=forms.visit.to("/admin/doctor")>{td_string!(locale, admin.checks_link)}</a>
            </p>
        </section>
    }
    .into_any()
}

/// The rooms, with a button to close each open one.
fn rooms_section(forms: &Forms<'_>, rooms: &[RoomRow]) -> AnyView {
    let locale = forms.locale;
    let rows = rooms.iter().map(|room| {
        let name = room.name.as_str();
        let (people, in_call) = room.open.unwrap_or_default();
        let (messages, bytes) = room.stored.unwrap_or_default();
        let label = td_string!(locale, admin.close_named, room = name).to_string();
        let close = room.open.map(|_| {
            forms.button(
                ActionKind::CloseRoom,
                &[("room", name)],
                td_string!(locale, admin.close),
                Some(label),
            )
        });
        view! {
            <tr>
                <th scope="row">
                    <a href=room_address(forms.visit, name)>
                        <bdi>{name.to_owned()}</bdi>
                    </a>
                </th>
                <td class="number">{people.to_string()}</td>
                <td class="number">{in_call.to_string()}</td>
                <td class="number">{count(messages)}</td>
                <td class="number">{size(bytes)}</td>
                <td>{close}</td>
            </tr>
        }
    });
    let heads = [
        (td_string!(locale, admin.room), false),
        (td_string!(locale, admin.people), true),
        (td_string!(locale, admin.in_call), true),
        (td_string!(locale, admin.messages), true),
        (td_string!(locale, admin.bytes), true),
        (td_string!(locale, admin.actions), false),
    ];
    let body = match rooms.is_empty() {
        true => view! { <p>{td_string!(locale, admin.no_rooms)}</p> }.into_any(),
        false => table(
            td_string!(locale, admin.rooms),
            &heads,
            rows.collect_view().into_any(),
        ),
    };
    view! {
        <section id="rooms" data-live="" aria-labelledby="rooms-title">
            <h2 id="rooms-title">{td_string!(locale, admin.rooms)}</h2>
            {body}
        </section>
    }
    .into_any()
}

/// The form of an announcement.
fn announce_section(forms: &Forms<'_>) -> AnyView {
    let locale = forms.locale;
    view! {
        <section aria-labelledby="announce-title">
            <h2 id="announce-title">{td_string!(locale, admin.announce)}</h2>
            <form class="form" method="post" action=forms.visit.to("/admin/action")>
                {forms.hidden(ActionKind::Announce, &[])}
                <div class="field">
                    <label class="field__label" for="announcement">
                        {td_string!(locale, admin.announce_label)}
                    </label>
                    <textarea
                        id="announcement"
                        class="input"
                        name="text"
                        required
                        maxlength=MAX_ANNOUNCEMENT_CHARS.to_string()
                        aria-describedby="announcement-hint"
                    ></textarea>
                    <p id="announcement-hint">{td_string!(locale, admin.announce_hint)}</p>
                </div>
                <p>
                    <button class="button" type="submit">
                        {td_string!(locale, admin.announce_submit)}
                    </button>
                </p>
            </form>
        </section>
    }
    .into_any()
}

/// Stored bytes, limits and retention.
fn storage_section(locale: Locale, storage: &Storage) -> AnyView {
    let bounded = |bytes: u64| match bytes {
        0 => td_string!(locale, admin.no_limit).to_owned(),
        bytes => size(bytes),
    };
    let days = (storage.days > 0)
        .then(|| td_string!(locale, admin.retention_days, days = storage.days).to_string());
    let messages = (storage.messages > 0).then(|| {
        td_string!(
            locale,
            admin.retention_messages,
            messages = storage.messages
        )
        .to_string()
    });
    let kept: Vec<String> = days.into_iter().chain(messages).collect();
    let kept = match kept.is_empty() {
        true => td_string!(locale, admin.retention_ever).to_owned(),
        false => kept.join(", "),
    };
    let free = storage.free.map(size);
    let free = free.unwrap_or_else(|| td_string!(locale, admin.unknown).to_owned());
    let facts = [
        (td_string!(locale, admin.stored), size(storage.stored)),
        (td_string!(locale, admin.limit), bounded(storage.limit)),
        (
            td_string!(locale, admin.room_limit),
            bounded(storage.room_limit),
        ),
        (td_string!(locale, admin.files), size(storage.files)),
        (
            td_string!(locale, admin.files_limit),
            bounded(storage.files_limit),
        ),
        (td_string!(locale, admin.free), free),
        (td_string!(locale, admin.reserve), size(storage.reserve)),
        (td_string!(locale, admin.retention), kept),
    ];
    let rows = facts.map(|(name, value)| {
        view! {
            <tr>
                <th scope="row">{name}</th>
                <td>{value}</td>
            </tr>
        }
    });
    view! {
        <section id="storage" data-live="" aria-labelledby="storage-title">
            <h2 id="storage-title">{td_string!(locale, admin.storage)}</h2>
            {table(td_string!(locale, admin.storage), &[], rows.collect_view().into_any())}
        </section>
    }
    .into_any()
}

/// The certificate of the HTTP address.
fn certificate_section(locale: Locale, certificate: Option<&CertificateRow>) -> AnyView {
    let body = match certificate {
        None => view! { <p>{td_string!(locale, admin.certificate_none)}</p> }.into_any(),
        Some(certificate) => {
            let failure = certificate
                .failure
                .clone()
                .map(|reason| (td_string!(locale, admin.certificate_failure), reason));
            let facts = [
                (
                    td_string!(locale, admin.certificate_names),
                    certificate.names.clone(),
                ),
                (
                    td_string!(locale, admin.certificate_ends),
                    moment(certificate.ends_ms),
                ),
            ];
            let rows = facts.into_iter().chain(failure).map(|(name, value)| {
                view! {
                    <tr>
                        <th scope="row">{name}</th>
                        <td>{value}</td>
                    </tr>
                }
            });
            let title = td_string!(locale, admin.certificate);
            table(title, &[], rows.collect_view().into_any())
        }
    };
    view! {
        <section id="certificate" data-live="" aria-labelledby="certificate-title">
            <h2 id="certificate-title">{td_string!(locale, admin.certificate)}</h2>
            {body}
        </section>
    }
    .into_any()
}

/// The backups of the data directory.
fn backups_section(forms: &Forms<'_>, files: &[BackupFile]) -> AnyView {
    let locale = forms.locale;
    let rows = files.iter().map(|file| {
        let name = file.name.as_str();
        let delete = td_string!(locale, admin.backup_delete_named, name = name).to_string();
        let download = td_string!(locale, admin.backup_download_named, name = name).to_string();
        view! {
            <tr>
                <th scope="row">{name.to_owned()}</th>
                <td class="number">{size(file.bytes)}</td>
                <td class="number">{moment(file.made_ms)}</td>
                <td>
                    <div class="admin__ways">
                        <a
                            class="button button--small"
                            href=forms.visit.to(&format!("/admin/backup?name={}", encoded(name)))
                            aria-label=download
                        >
                            {td_string!(locale, admin.backup_download)}
                        </a>
                        {forms
                            .button(
                                ActionKind::DeleteBackup,
                                &[("name", name)],
                                td_string!(locale, admin.backup_delete),
                                Some(delete),
                            )}
                    </div>
                </td>
            </tr>
        }
    });
    let age = files.first().map(|newest| {
        let days = Moment::now().wall_ms.saturating_sub(newest.made_ms).max(0) / DAY_MS;
        td_string!(locale, admin.backup_age, days = days).to_string()
    });
    let heads = [
        (td_string!(locale, admin.backup_file), false),
        (td_string!(locale, admin.backup_size), true),
        (td_string!(locale, admin.backup_made), true),
        (td_string!(locale, admin.actions), false),
    ];
    let list = match files.is_empty() {
        true => view! { <p>{td_string!(locale, admin.backup_none)}</p> }.into_any(),
        false => table(
            td_string!(locale, admin.backups),
            &heads,
            rows.collect_view().into_any(),
        ),
    };
    view! {
        <section id="backups" data-live="" aria-labelledby="backups-title">
            <h2 id="backups-title">{td_string!(locale, admin.backups)}</h2>
            <p>{td_string!(locale, admin.backup_text)}</p>
            {age.map(|age| view! { <p>{age}</p> })}
            {list}
            {forms.button(ActionKind::MakeBackup, &[], td_string!(locale, admin.backup_make), None)}
        </section>
    }
    .into_any()
}

/// The sessions, with a button to end each.
fn sessions_section(forms: &Forms<'_>, sessions: &[OperatorSession]) -> AnyView {
    let locale = forms.locale;
    let rows = sessions.iter().map(|session| {
        let this = (session.id == forms.signed_in.session.id)
            .then(|| format!(" ({})", td_string!(locale, admin.session_this)));
        let since = moment(session.created_at);
        let label = td_string!(locale, admin.session_end_named, time = since.as_str()).to_string();
        let id = session.id.to_string();
        view! {
            <tr>
                <th scope="row">
                    <bdi>{session.agent.clone()}</bdi>
                    {this}
                </th>
                <td>{session.address.clone()}</td>
                <td class="number">{since}</td>
                <td class="number">{moment(session.used_at)}</td>
                <td>
                    {forms
                        .button(
                            ActionKind::EndSession,
                            &[("session", &id)],
                            td_string!(locale, admin.session_end),
                            Some(label),
                        )}
                </td>
            </tr>
        }
    });
    let heads = [
        (td_string!(locale, admin.session_browser), false),
        (td_string!(locale, admin.session_address), false),
        (td_string!(locale, admin.session_since), true),
        (td_string!(locale, admin.session_used), true),
        (td_string!(locale, admin.actions), false),
    ];
    let title = td_string!(locale, admin.sessions);
    view! {
        <section id="sessions" data-live="" aria-labelledby="sessions-title">
            <h2 id="sessions-title">{title}</h2>
            {table(title, &heads, rows.collect_view().into_any())}
        </section>
    }
    .into_any()
}

/// The log of actions.
fn log_section(locale: Locale, actions: &[LoggedAction]) -> AnyView {
    let rows = actions.iter().map(|entry| {
        view! {
            <tr>
                <td class="number">{moment(entry.at)}</td>
                <td>{action_words(locale, &entry.action)}</td>
                <td>
                    <bdi>{entry.subject.clone()}</bdi>
                </td>
            </tr>
        }
    });
    let heads = [
        (td_string!(locale, admin.log_time), true),
        (td_string!(locale, admin.log_action), false),
        (td_string!(locale, admin.log_subject), false),
    ];
    let title = td_string!(locale, admin.log);
    let body = match actions.is_empty() {
        true => view! { <p>{td_string!(locale, admin.log_none)}</p> }.into_any(),
        false => table(title, &heads, rows.collect_view().into_any()),
    };
    view! {
        <section id="log" data-live="" aria-labelledby="log-title">
            <h2 id="log-title">{title}</h2>
            {body}
            <p>
                <a href="?log=all">{td_string!(locale, admin.log_all)}</a>
            </p>
        </section>
    }
    .into_any()
}

/// The words of a logged action; its code, if a newer server logged it.
fn action_words(locale: Locale, code: &str) -> String {
    let Ok(kind) = code.parse::<ActionKind>() else {
        return code.to_owned();
    };
    let words = match kind {
        ActionKind::BecameOperator => td_string!(locale, admin.action_became_operator),
        ActionKind::SignedIn => td_string!(locale, admin.action_signed_in),
        ActionKind::CloseRoom => td_string!(locale, admin.action_close_room),
        ActionKind::RemovePerson => td_string!(locale, admin.action_remove_person),
        ActionKind::Announce => td_string!(locale, admin.action_announce),
        ActionKind::NewHostKey => td_string!(locale, admin.action_new_host_key),
        ActionKind::DeleteHistory => td_string!(locale, admin.action_delete_history),
        ActionKind::MakeBackup => td_string!(locale, admin.action_make_backup),
        ActionKind::DeleteBackup => td_string!(locale, admin.action_delete_backup),
        ActionKind::RunChecks => td_string!(locale, admin.action_run_checks),
        ActionKind::EndSession => td_string!(locale, admin.action_end_session),
        ActionKind::SignOut => td_string!(locale, admin.action_sign_out),
    };
    words.to_owned()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_room_that_is_open_and_stored_is_one_row() {
        let name = |text: &str| RoomName::from_stored(text);
        let open = [RoomSummary {
            name: name("open"),
            people: 2,
            in_call: 1,
        }];
        let stored = ["stored", "open"].map(|room| StoredRoom {
            name: name(room),
            bytes: 10,
            messages: 3,
        });
        let rows = room_rows(&open, stored.into());
        let rows: Vec<_> = rows
            .iter()
            .map(|row| (row.name.as_str(), row.open, row.stored))
            .collect();
        let expected = [
            ("open", Some((2, 1)), Some((3, 10))),
            ("stored", None, Some((3, 10))),
        ];
        assert_eq!(rows, expected);
    }
}
