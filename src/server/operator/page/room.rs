//! The page of a room: its people, the connections of its call, and what can be done.

use super::{
    super::{
        action::{ActionKind, Outcome},
        session::SignedIn,
        visit::Visit,
    },
    layout::{Forms, back_link, encoded, narrow, outcome, room_address, table, wide},
    numbers::{bitrate, count, percent, size},
};
use crate::{
    i18n::{Locale, td_string},
    protocol::{Mode, RoomName, Source},
    server::{
        context::AppContext,
        metrics::{ForwardedLayer, IcePath},
        rooms::{Attendance, Attendee, RoomReport},
        sfu::{ConnectionReport, SentTrack},
        store::StoreError,
    },
};
use axum::response::Html;
use leptos::prelude::*;

/// People on the page of a room, at most.
const MAX_PEOPLE: usize = 200;

/// What the page of a room shows.
pub struct RoomPage {
    /// The name of the room.
    name: RoomName,
    /// Messages and bytes; none for a room without a message.
    stored: Option<(u64, u64)>,
    /// People and connections; none for a room that is not open.
    report: Option<RoomReport>,
}

impl RoomPage {
    /// Loads what the page of a room shows.
    pub async fn load(context: &AppContext, name: RoomName) -> Result<Self, StoreError> {
        let stored = context.store.room_list(vec![name.clone()], 0).await?;
        let report = context.rooms.inspect(&name).await;
        Ok(Self {
            stored: stored.first().map(|room| (room.messages, room.bytes)),
            report,
            name,
        })
    }
}

/// The page of a room.
pub fn room(
    visit: &Visit,
    signed_in: &SignedIn,
    room: &RoomPage,
    said: Option<Outcome>,
) -> Html<String> {
    let locale = visit.locale;
    let forms = Forms {
        locale,
        visit,
        signed_in,
    };
    let name = room.name.as_str();
    let body = view! {
        <p>{back_link(visit)}</p>
        <h1>
            <bdi>{name.to_owned()}</bdi>
        </h1>
        {outcome(locale, said)}
        {people_section(&forms, room)}
        {connections_section(locale, room)}
        <section aria-labelledby="actions">
            <h2 id="actions">{td_string!(locale, admin.actions)}</h2>
            <div class="admin__ways">
                <a class="button" href=visit.to(&room.name.path())>
                    {td_string!(locale, admin.open_now)}
                </a>
                {forms
                    .button(
                        ActionKind::CloseRoom,
                        &[("room", name)],
                        td_string!(locale, admin.close_room),
                        None,
                    )}
                {forms
                    .button(
                        ActionKind::NewHostKey,
                        &[("room", name)],
                        td_string!(locale, admin.new_host_key),
                        None,
                    )}
                <a class="button" href=visit.to(&format!("/admin/history?name={}", encoded(name)))>
                    {td_string!(locale, admin.delete_history)}
                </a>
            </div>
            <p>{td_string!(locale, admin.new_host_key_hint)}</p>
        </section>
    };
    wide(visit, &forms, name, body.into_any())
}

/// Asks whether every message of a room is to be deleted.
pub fn confirm_history(visit: &Visit, signed_in: &SignedIn, room: &RoomName) -> Html<String> {
    let locale = visit.locale;
    let forms = Forms {
        locale,
        visit,
        signed_in,
    };
    let title = td_string!(locale, admin.delete_history_title);
    let name = room.as_str();
    let text = td_string!(locale, admin.delete_history_text, room = name).to_string();
    let body = view! {
        <h1>{title}</h1>
        <p>{text}</p>
        <div class="admin__ways">
            {forms
                .button(
                    ActionKind::DeleteHistory,
                    &[("room", name)],
                    td_string!(locale, admin.delete_history_confirm),
                    None,
                )} <a class="button button--quiet" href=room_address(visit, name)>
                {td_string!(locale, admin.cancel)}
            </a>
        </div>
    };
    narrow(visit, title, body.into_any())
}

/// The people of a room.
fn people_section(forms: &Forms<'_>, room: &RoomPage) -> AnyView {
    let locale = forms.locale;
    let people = room.report.as_ref().map(|report| report.people.as_slice());
    let people = people.unwrap_or_default();
    let name = room.name.as_str();
    let rows = people.iter().take(MAX_PEOPLE).map(|attendee| {
        let Attendee {
            person,
            attendance,
            call,
        } = attendee;
        let presence = match attendance {
            Attendance::Connected => td_string!(locale, admin.present),
            Attendance::Lost => td_string!(locale, admin.lost),
            Attendance::MediaOnly => td_string!(locale, admin.media_only),
        };
        let nickname = person.nickname.as_str();
        let label = td_string!(locale, admin.remove_named, nickname = nickname).to_string();
        view! {
            <tr>
                <th scope="row">
                    <bdi>{nickname.to_owned()}</bdi>
                </th>
                <td>
                    <code>{person.id.as_str().to_owned()}</code>
                </td>
                <td>{presence}</td>
                <td>{call.map(|_| td_string!(locale, admin.yes))}</td>
                <td>
                    {forms
                        .button(
                            ActionKind::RemovePerson,
                            &[("room", name), ("person", person.id.as_str())],
                            td_string!(locale, admin.remove),
                            Some(label),
                        )}
                </td>
            </tr>
        }
    });
    let heads = [
        (td_string!(locale, admin.nickname), false),
        (td_string!(locale, admin.id), false),
        (td_string!(locale, admin.presence), false),
        (td_string!(locale, admin.in_call), false),
        (td_string!(locale, admin.actions), false),
    ];
    let title = td_string!(locale, admin.people);
    let body = match people.is_empty() {
        true => view! { <p>{td_string!(locale, admin.nobody_here)}</p> }.into_any(),
        false => table(title, &heads, rows.collect_view().into_any()),
    };
    let (messages, bytes) = room.stored.unwrap_or_default();
    view! {
        <section id="people" data-live="" aria-labelledby="people-title">
            <h2 id="people-title">{title}</h2>
            <p>
                {td_string!(locale, admin.messages)} ": " {count(messages)} " · "
                {td_string!(locale, admin.bytes)} ": " {size(bytes)}
            </p>
            {body}
        </section>
    }
    .into_any()
}

/// The connections of a room's call.
fn connections_section(locale: Locale, room: &RoomPage) -> AnyView {
    let report = room.report.as_ref();
    let title = td_string!(locale, admin.connections);
    let body = match report {
        None => view! { <p>{td_string!(locale, admin.no_connections)}</p> }.into_any(),
        Some(report) if report.connections.is_empty() && report.mode == Mode::P2p => {
            view! { <p>{td_string!(locale, admin.by_p2p)}</p> }.into_any()
        }
        Some(report) if report.connections.is_empty() => {
            view! { <p>{td_string!(locale, admin.no_connections)}</p> }.into_any()
        }
        Some(report) => connections_table(locale, title, report),
    };
    view! {
        <section id="connections" data-live="" aria-labelledby="connections-title">
            <h2 id="connections-title">{title}</h2>
            {body}
        </section>
    }
    .into_any()
}

/// The table of connections, which names no address.
fn connections_table(locale: Locale, title: &'static str, report: &RoomReport) -> AnyView {
    let rows = report.connections.iter().map(|connection| {
        let known = report.people.iter();
        let known = known.map(|attendee| &attendee.person);
        let person = known
            .into_iter()
            .find(|known| known.id == connection.person);
        let nickname = person.map_or(connection.person.as_str(), |person| {
            person.nickname.as_str()
        });
        let unknown = || td_string!(locale, admin.unknown).to_owned();
        let rtt = connection.rtt_ms.filter(|rtt_ms| rtt_ms.is_finite());
        let to = connection.egress_loss.map_or_else(unknown, percent);
        let from = percent(connection.ingress_loss);
        view! {
            <tr>
                <th scope="row">
                    <bdi>{nickname.to_owned()}</bdi>
                </th>
                <td>{path_words(locale, connection)}</td>
                <td class="number">{rtt.map_or_else(unknown, |ms| format!("{ms:.0} ms"))}</td>
                <td class="number">{format!("{to} / {from}")}</td>
                <td class="number">{connection.budget_bps.map_or_else(unknown, bitrate)}</td>
                <td>{sent_words(locale, &connection.sent)}</td>
                <td>{received_words(locale, &connection.received)}</td>
            </tr>
        }
    });
    let heads = [
        (td_string!(locale, admin.nickname), false),
        (td_string!(locale, admin.path), false),
        (td_string!(locale, admin.rtt), true),
        (td_string!(locale, admin.loss), true),
        (td_string!(locale, admin.budget), true),
        (td_string!(locale, admin.sends), false),
        (td_string!(locale, admin.receives), false),
    ];
    table(title, &heads, rows.collect_view().into_any())
}

/// The path of a connection.
fn path_words(locale: Locale, connection: &ConnectionReport) -> &'static str {
    match connection.path {
        _ if !connection.connected => td_string!(locale, admin.path_none),
        IcePath::Udp => td_string!(locale, admin.path_udp),
        IcePath::Tcp => td_string!(locale, admin.path_tcp),
        IcePath::Relay => td_string!(locale, admin.path_relay),
        IcePath::Failed => td_string!(locale, admin.path_none),
    }
}

/// What somebody sends: each source with the height and the bitrate of its layers.
fn sent_words(locale: Locale, tracks: &[SentTrack]) -> String {
    let tracks = tracks.iter().map(|track| {
        let source = match track.source {
            Source::Microphone => td_string!(locale, admin.source_microphone),
            Source::Camera => td_string!(locale, admin.source_camera),
            Source::Screen => td_string!(locale, admin.source_screen),
            Source::ScreenAudio => td_string!(locale, admin.source_screen_audio),
        };
        let layers = track.layers.iter().map(|(bps, height)| match height {
            0 => bitrate(*bps),
            height => format!("{height}p {}", bitrate(*bps)),
        });
        let layers: Vec<_> = layers.collect();
        format!("{source} {}", layers.join(", "))
    });
    tracks.collect::<Vec<_>>().join("; ")
}

/// How many videos somebody receives in which layer.
fn received_words(locale: Locale, received: &[ForwardedLayer]) -> String {
    let number = |wanted: ForwardedLayer| received.iter().filter(|found| **found == wanted).count();
    if received.is_empty() {
        return String::new();
    }
    td_string!(
        locale,
        admin.carried,
        low = number(ForwardedLayer::Layer(0)),
        middle = number(ForwardedLayer::Layer(1)),
        high = number(ForwardedLayer::Layer(2)),
        single = number(ForwardedLayer::Single),
        paused = number(ForwardedLayer::Paused),
        waiting = number(ForwardedLayer::Waiting)
    )
    .to_string()
}
