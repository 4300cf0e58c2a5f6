//! The handle that components use: the state that they draw and the actions that they call.
//!
//! Cheap to copy. On the server it only carries the state; in the browser it also holds the
//! [`crate::browser::RoomController`], which owns the socket and the call. `pages::room` makes
//! one per room; components get it from the context.

use crate::protocol::{
    ChatText, ClientMessage, Devices, Emoji, MessageId, Nickname, ParticipantId, RoomName,
    RoomPassword,
};
use crate::state::call::{CallState, DeviceKind};
use crate::state::duplicate_names::DuplicateNames;
use crate::state::export::{ExportFormat, ExportState};
use crate::state::transfers::{Sharing, Target, Transfers};
use crate::state::uploads::{UploadKey, Uploads};
use crate::state::{RoomState, RoomStateStoreFields};
use leptos::prelude::*;
use reactive_stores::Store;

#[cfg(feature = "hydrate")]
use {
    crate::browser::RoomController, crate::protocol::Source, crate::state::prejoin::Arrival,
    std::rc::Rc,
};

/// State to read and actions to call, for components.
#[derive(Clone, Copy)]
pub struct Session {
    /// The room as this participant sees it.
    pub room: Store<RoomState>,
    /// The call as this participant sees it.
    pub call: Store<CallState>,
    /// The files of the message in the composer.
    pub uploads: RwSignal<Uploads>,
    /// The files that go from browser to browser.
    pub transfers: RwSignal<Transfers>,
    /// Name of the room.
    name: StoredValue<RoomName>,
    /// Whether "Join call" was pressed and the call has not been entered since.
    join_pressed: StoredValue<bool>,
    /// Whether a page of this site led the browser to this document; false after the first
    /// read.
    own_navigation: StoredValue<bool>,
    #[cfg(feature = "hydrate")]
    controller: StoredValue<DriverState, LocalStorage>,
}

/// A request that waits for the controller.
#[cfg(feature = "hydrate")]
type DriverCommand = Box<dyn FnOnce(&Rc<RoomController>)>;

/// The controller of the room, from hydration to the end of the session.
#[cfg(feature = "hydrate")]
enum DriverState {
    /// Not started: the page is being hydrated. Queues the requests made until then.
    Pending(Vec<DriverCommand>),
    /// The running controller, owned by the session.
    Running(Rc<RoomController>),
    /// The session has ended.
    Stopped,
}

impl Session {
    /// A session of a room that is not connected yet. `max_file_bytes`: the largest file that the
    /// server takes; `own_navigation`: whether a page of this site led the browser to this document.
    pub fn new(
        name: RoomName,
        room: RoomState,
        call: CallState,
        max_file_bytes: u64,
        own_navigation: bool,
    ) -> Self {
        Self {
            room: Store::new(room),
            call: Store::new(call),
            uploads: RwSignal::new(Uploads::new(max_file_bytes)),
            transfers: RwSignal::new(Transfers::default()),
            name: StoredValue::new(name),
            join_pressed: StoredValue::new(false),
            own_navigation: StoredValue::new(own_navigation),
            #[cfg(feature = "hydrate")]
            controller: StoredValue::new_local(DriverState::Pending(Vec::new())),
        }
    }

    /// Name of the room.
    pub fn name(self) -> RoomName {
        self.name.get_value()
    }

    /// Id of this participant; `None` before the room is joined.
    pub fn me(self) -> Option<ParticipantId> {
        self.room.people().read().me.clone()
    }

    /// The nickname of a participant; empty if they are not in the room.
    pub fn nickname_of(self, id: &ParticipantId) -> String {
        let people = self.room.people();
        let nickname = people.read().nickname(id).map(ToString::to_string);
        nickname.unwrap_or_default()
    }

    /// The tag after the nickname of a participant; `None` if the nickname is unique.
    pub fn tag_of(self, id: ParticipantId) -> Memo<Option<String>> {
        let people = self.room.people();
        Memo::new(move |_| DuplicateNames::among(people.read().here.iter()).tag(&id))
    }

    /// "Join call" was pressed: the call may be entered without another press.
    pub fn press_join(self) {
        self.join_pressed.set_value(true);
    }

    /// Whether "Join call" was pressed. Resets the flag.
    pub fn take_join_press(self) -> bool {
        let pressed = |pressed: &mut bool| std::mem::take(pressed);
        self.join_pressed.try_update_value(pressed).unwrap_or(false)
    }

    /// Whether the document that was opened at this call may enter it without a press.
    /// `asks_to_skip`: whether its address says so. True at most once. In an effect only.
    pub fn enters_at_once(self, asks_to_skip: bool) -> bool {
        let own = |own: &mut bool| std::mem::take(own);
        let own_navigation = self.own_navigation.try_update_value(own).unwrap_or(false);
        #[cfg(feature = "hydrate")]
        return Arrival {
            opening: crate::browser::dom::navigation::opening(),
            own_navigation,
            asks_to_skip,
            was_in_call: crate::browser::dom::storage::take_in_call(&self.name()),
        }
        .enters_at_once();
        #[cfg(not(feature = "hydrate"))]
        {
            let _ = (own_navigation, asks_to_skip);
            false
        }
    }

    /// Opens the dialog that shares files with `target`. `nickname`: theirs; empty for everybody.
    pub fn share_files(self, target: Target, nickname: String) {
        let sharing = Some(Sharing { target, nickname });
        self.transfers.update(|transfers| {
            transfers.sharing = sharing;
            transfers.load_failed = false;
        });
        #[cfg(feature = "hydrate")]
        self.ask(|controller| controller.peers().prepare());
    }

    /// Connects as `nickname`. `private`: whether the room is to be unlisted, if this participant
    /// opens it. In an effect only.
    pub fn connect(self, nickname: Nickname, private: bool) {
        #[cfg(feature = "hydrate")]
        {
            let stores = (self.room, self.call);
            let signals = (self.uploads, self.transfers);
            let controller = RoomController::start(stores, signals, self.name(), nickname, private);
            let before = self.replace_driver_state(DriverState::Running(controller.clone()));
            if let Some(DriverState::Pending(commands)) = before {
                commands
                    .into_iter()
                    .for_each(|command| command(&controller));
            }
        }
        #[cfg(not(feature = "hydrate"))]
        let _ = (nickname, private);
    }

    /// Leaves the room: the others are notified at once.
    pub fn disconnect(self) {
        #[cfg(feature = "hydrate")]
        if let Some(DriverState::Running(controller)) =
            self.replace_driver_state(DriverState::Stopped)
        {
            controller.stop();
        }
    }

    #[cfg(feature = "hydrate")]
    fn replace_driver_state(self, state: DriverState) -> Option<DriverState> {
        self.controller
            .try_update_value(|before| std::mem::replace(before, state))
    }

    /// Passes a request to the controller, or queues it until there is one.
    #[cfg(feature = "hydrate")]
    fn ask(self, command: impl FnOnce(&Rc<RoomController>) + 'static) {
        let mut command: Option<DriverCommand> = Some(Box::new(command));
        let controller = self.controller.try_update_value(|state| match state {
            DriverState::Pending(commands) => {
                commands.extend(command.take());
                None
            }
            DriverState::Running(controller) => Some(controller.clone()),
            DriverState::Stopped => None,
        });
        if let (Some(controller), Some(command)) = (controller.flatten(), command) {
            command(&controller);
        }
    }
}

/// Writes methods that call the controller in the browser and do nothing on the server.
macro_rules! controller_methods {
    ($($(#[$doc:meta])* $name:ident ( $($arg:ident : $kind:ty),* ) $(=> $part:ident)? ;)*) => {
        impl Session {$(
            $(#[$doc])*
            pub fn $name(self, $($arg: $kind),*) {
                #[cfg(feature = "hydrate")]
                self.ask(move |controller| controller$(.$part())?.$name($($arg),*));
                #[cfg(not(feature = "hydrate"))]
                { $(let _ = $arg;)* }
            }
        )*}
    };
}
controller_methods! {
    /// Sends a message with the files that have arrived, optionally as a reply to `reply_to`, with the
    /// people whom the author chose for mentions. It is shown as pending until the server confirms it.
    send_chat(text: ChatText, reply_to: Option<MessageId>, mentions: Vec<ParticipantId>);
    /// Tries to upload a file again.
    retry_upload(key: UploadKey);
    /// Removes a file from the next message.
    remove_upload(key: UploadKey);
    /// Edits a message of this participant.
    edit(id: MessageId, text: ChatText);
    /// Deletes a message of this participant.
    delete(id: MessageId);
    /// Adds or removes a reaction.
    react(id: MessageId, emoji: Emoji, on: bool);
    /// Pins a message, or unpins it.
    pin_message(id: MessageId, on: bool);
    /// Announces that this participant is typing, at most every few seconds.
    typing();
    /// Sends a refused message again.
    retry(id: MessageId);
    /// Discards a refused message.
    discard(id: MessageId);
    /// Saves the log of the room as a file.
    export(format: ExportFormat, state: RwSignal<ExportState>);
    /// Changes the nickname.
    rename(nickname: Nickname);
    /// Requests messages older than the first loaded one.
    load_older();
    /// Asks to enter with a password.
    enter_with(password: RoomPassword);
    /// Asks to enter without the invite of this tab.
    drop_invite();
    /// Asks to enter with this nickname and, in the lobby, with this line for the hosts.
    knock(nickname: Nickname, line: Option<String>);
    /// Tries to connect at once instead of waiting.
    retry_now();
    /// Enters the call with the available devices. Joining never waits for a device.
    enter_call(wanted: Devices);
    /// Leaves the call and frees its devices and connections.
    leave_call();
    /// Sets whether to hide this participant's address.
    hide_address(hide: bool) => call;
    /// Pins a participant, or removes the pin.
    pin(id: ParticipantId) => call;
    /// Starts or stops polling the statistics of the connections.
    watch_stats(on: bool) => call;
    /// Copies all reports of `getStats` as JSON.
    copy_stats() => call;
    /// Accepts the offer of a file. In an event of a press only: the browser may ask where to save
    /// the file.
    accept_file(row: u32) => peers;
    /// Refuses the offer of a file, or cancels its transfer.
    cancel_transfer(row: u32) => peers;
    /// Takes a transfer that has ended out of the list.
    dismiss_transfer(row: u32) => peers;
    /// Switches the microphone on or off.
    toggle_microphone();
    /// Switches the camera on or off.
    toggle_camera();
    /// Switches off a device that the system muted.
    keep_off(kind: DeviceKind) => media;
    /// Shares the screen, or stops sharing it.
    toggle_screen();
    /// Sends a request of a host.
    moderate(request: ClientMessage);
    /// Selects another camera.
    choose_camera(device_id: String) => media;
    /// Selects another microphone.
    choose_microphone(device_id: String) => media;
    /// Selects another speaker.
    choose_speaker(device_id: String) => media;
    /// Switches between the front and the rear camera.
    flip_camera() => media;
    /// Requests the devices again after a problem.
    retry_devices() => media;
}

#[cfg(feature = "hydrate")]
impl Session {
    /// Takes the files that were chosen in a field for the next message.
    pub fn attach_chosen(self, input: &web_sys::HtmlInputElement) {
        let files = crate::browser::dom::files::chosen(input);
        self.ask(move |controller| controller.attach(files));
    }

    /// Takes the files that are pasted for the next message. Returns whether there are any.
    pub fn attach_pasted(self, event: &web_sys::Event) -> bool {
        let files = crate::browser::dom::files::pasted(event);
        let any = !files.is_empty();
        if any {
            self.ask(move |controller| controller.attach(files));
        }
        any
    }

    /// Offers the files that were chosen in a field to the target of the dialog.
    pub fn share_chosen(self, input: &web_sys::HtmlInputElement) {
        self.offer_files(crate::browser::dom::files::chosen(input));
    }

    /// Offers the files that are pasted to the target of the dialog. Returns whether there are any.
    pub fn share_pasted(self, event: &web_sys::Event) -> bool {
        let files = crate::browser::dom::files::pasted(event);
        let any = !files.is_empty();
        if any {
            self.offer_files(files);
        }
        any
    }

    fn offer_files(self, files: Vec<crate::browser::dom::files::Bytes>) {
        let sharing = self.transfers.with_untracked(|shown| shown.sharing.clone());
        if let Some(Sharing { target, .. }) = sharing {
            self.ask(move |controller| controller.peers().offer(target, files));
        }
    }

    /// Plays a source of a participant in `element`.
    pub fn attach(self, element: &web_sys::HtmlMediaElement, id: &ParticipantId, source: Source) {
        let (element, id) = (Clone::clone(element), id.clone());
        self.ask(move |controller| controller.call().attach(&element, &id, source));
    }

    /// Plays an audio slot of the SFU in `element`.
    pub fn attach_voice(self, element: &web_sys::HtmlMediaElement, mid: &str) {
        let (element, mid) = (Clone::clone(element), mid.to_owned());
        self.ask(move |controller| controller.call().attach_voice(&element, &mid));
    }
}
