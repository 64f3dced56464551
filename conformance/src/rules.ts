/** A rule of the project that a test can prove, and what it says in one sentence. */
export interface Rule {
  readonly id: string;
  readonly says: string;
}

/** What holds of events and waits. */
export const eventRules = [
  { id: "U1", says: "At most one exclusive wait holds a key at a time, and a wait that has ended never blocks it." },
  { id: "U2", says: "A second wait on a held key fails, replaces the first or joins it, as it asks to." },
  {
    id: "U3",
    says: "Broadcast waits share a key, one send answers all of them, and they do not mix with exclusive ones.",
  },
  { id: "U4", says: "Waits on a key are counted, and a send that names another one than the current is refused." },
  {
    id: "U5",
    says: "A key has 1 to 512 characters, is compared after NFC, and belongs to its project and environment.",
  },
  {
    id: "U6",
    says: "A key template is filled from payload and outputs; a placeholder without a value fails the step.",
  },
  {
    id: "B1",
    says: "An event that nobody ever waited for is kept for its lifetime, or refused where the sender prefers.",
  },
  { id: "B2", says: "A wait that opens takes the oldest event that is kept for it, and its run goes on at once." },
  {
    id: "B3",
    says: "An event that comes after the end of a wait is refused, and kept for the next only if it says so.",
  },
  { id: "B4", says: "Late events stay on record beside the wait that they were too late for." },
  { id: "B5", says: "A step that completes sends its event as any other sender does, also before anybody waits." },
  { id: "B6", says: "A wait that opens while its event arrives receives it, in every order." },
  { id: "B7", says: "An event that has outlived its lifetime is never delivered, and goes to the dead letters." },
  {
    id: "B8",
    says: "A kept event that does not fit the wait's schema goes to the dead letters, and the wait stays open.",
  },
  { id: "S1", says: "An equal answer is a duplicate and another one a conflict; equal means equal as JSON." },
  { id: "S2", says: "A send with an Idempotency-Key has one effect and one answer, however often it is repeated." },
  { id: "S4", says: "A send has one field for its payload, and unknown fields are refused." },
  { id: "S5", says: "A rejection ends the wait with an error that carries its reason." },
  {
    id: "S6",
    says: "A message to an inbox is new unless its key was used; an ended run refuses it, an unknown one is not found.",
  },
  { id: "R1", says: "A wait ends exactly once, and its run is resumed exactly once, whoever competes." },
  { id: "R2", says: "The deadline decides, not the moment at which the server notices it." },
  { id: "R3", says: "The deadline of an older wait cannot end a newer one." },
  {
    id: "R4",
    says: "A deadline is fixed when the wait opens, and moves only by extending or shortening an open wait.",
  },
  { id: "R5", says: "A cancellation carries its reason to the run, whose code may go on after it." },
  { id: "R6", says: "The end of a run cancels its waits and frees their keys." },
  {
    id: "R7",
    says: "Sends, cancellations and deadlines never wait for each other's runs, so none deadlocks or is lost.",
  },
  { id: "R8", says: "The waits that lose a race are closed with its winner, and never take an event." },
  { id: "R9", says: "Of a send and a cancellation at one moment one wins, and the other is told what did." },
  { id: "P1", says: "A prefix is literal, byte for byte, and has three characters unless the sender allows fewer." },
  { id: "P2", says: "A send to a prefix reaches what waits at that moment, keeps nothing and stays in its project." },
  { id: "P3", says: "Each wait under a prefix is judged by itself, or all take the event or none." },
  { id: "P4", says: "A send to a prefix has pages but no cap, and those that opened first come first." },
  { id: "P5", says: "A dry run tells what a send would reach, and the send can insist on it." },
  { id: "P6", says: "Every wait that a prefix reaches is answered together with the resume of its run." },
  { id: "O1", says: "Messages of an inbox come in the order of their commits." },
  { id: "O2", says: "Messages that one sender sends one after another come in that order." },
  {
    id: "X1",
    says: "A payload is handed out as new once, identically on every dispatch, and older dispatches are fenced.",
  },
  { id: "X2", says: "A run that waits holds no slot, connection or process." },
  { id: "T1", says: "A stream begins with a snapshot, tells every change with an id, ends, and stays ended." },
  { id: "T2", says: "The changes of one run or wait are numbered without holes." },
  { id: "T3", says: "A stream goes on behind the cursor that it is given, and refuses one of another stream." },
  { id: "T4", says: "The client drops what it has seen, reports holes, and reconnects with its cursor." },
  { id: "T5", says: "A stream learns of changes that another process makes; a lost hint costs time only." },
  { id: "T6", says: "A browser streams with a token that reads one thing for minutes, never with an API key." },
  { id: "T7", says: "Slow readers are cut off, and streams beyond the limit are told to come back later." },
  { id: "W1", says: "Who sent an event is taken from the credentials, never from the body." },
  { id: "W3", says: "GET, HEAD and OPTIONS change nothing." },
  { id: "W4", says: "Waits, events and payloads that have ended are deleted after their time; a dry run tells which." },
] as const satisfies readonly Rule[];

/** What the guides promise. */
export const promises = [
  { id: "ST-01", says: "A workflow is JSON; a step that waits needs a step_ref and an event_key, and no job." },
  { id: "ST-02", says: "An event_key is a template that is filled from the payload of the workflow run." },
  { id: "ST-03", says: "A wait opens only when every step that it depends on has finished." },
  {
    id: "ST-04",
    says: "A send with an API key completes the step and starts what depends on it, with no further call.",
  },
  { id: "ST-05", says: "The payload that was sent is the output of the step, for later steps to use." },
  { id: "ST-06", says: "A wait of seven days holds no worker slot, thread or connection." },
  { id: "ST-07", says: "A workflow may hold several waits in a row." },
  { id: "ST-08", says: "A step with an event_emit_key resumes whoever waits for that key in another workflow." },
  { id: "ST-09", says: "A sleep is over after its duration, and what depends on it starts then." },
  { id: "ST-10", says: "The code of a run reports progress with its own token." },
  { id: "ST-11", says: "The code of a run parks it on an event, with a timeout and an address to notify." },
  { id: "ST-12", says: "When the event comes the run is dispatched again, with its payload as the checkpoint." },
  { id: "ST-13", says: "A send to a prefix answers every wait whose key starts with it." },
  { id: "ST-14", says: "Waits are listed, read, answered and deleted, after a look at what would be deleted." },
  { id: "ST-15", says: "A stream of a wait has the events status and keepalive, and closes at the end of the wait." },
  { id: "ST-16", says: "A wait is waiting, received, timed out or canceled." },
  { id: "ST-17", says: "An EventSource passes its token in the query." },
  { id: "ST-18", says: "After a timeout the step's on_failure decides: fail, skip what depends on it, or go on." },
  { id: "ST-19", says: "Canceling a wait fails its step at once." },
  { id: "ST-20", says: "A notification is stored, sent, tried again on a schedule, and given up on a 4xx answer." },
  { id: "ST-21", says: "The typed client sends with an API key and waits with a run token." },
  { id: "ST-22", says: "Waits that have ended are deleted after the retention that the operator sets." },
  { id: "ST-23", says: "Waits have a finite timeout unless told otherwise, and those near it can be listed." },
  {
    id: "GR-01",
    says: "Every run has an inbox that keeps each message in the order of arrival, whatever the run does.",
  },
  { id: "GR-02", says: "A run that asks for a message gets one that is there at once, and waits otherwise." },
  { id: "GR-03", says: "A message that comes while a run is busy is kept, and handed over at its next wait." },
  { id: "GR-07", says: "A run may wait again after a message, so one run serves many." },
  { id: "GR-08", says: "A wait for a message may time out; if a message comes first, the timeout never happens." },
  { id: "GR-09", says: "A message is addressed to a run, with a name and a payload." },
] as const satisfies readonly Rule[];

/** What holds inside of the server, where no client can see it. */
export const engineRules = [
  { id: "L1", says: "Work is committed in batches of what has piled up, never by a timer." },
  { id: "L2", says: "One item of a batch never harms another." },
  { id: "L3", says: "A run is claimed as it is inserted, while there is room." },
  { id: "Q1", says: "The queue holds only what is ready." },
  { id: "Q2", says: "The row of a run is updated in place." },
  { id: "Q3", says: "Projects and priorities take turns." },
  { id: "Q5", says: "Claims and completions never scan a table." },
  { id: "Q6", says: "Bodies are never parsed between the database and the socket." },
  { id: "Q8", says: "Other processes are woken by hints, and a slow poll stands behind them." },
  { id: "Q9", says: "Calls go over kept connections, and keys are cached for a bounded time." },
  { id: "K1", says: "Locks are taken from the owner to the owned." },
  { id: "K2", says: "Who holds a lower lock only tries an upper one, and leaves a wake row instead." },
  { id: "K3", says: "Wake rows are appended, and states are read no earlier than the rows are taken." },
  { id: "K4", says: "A send tries the waiting row first, and locks the key only after a miss." },
] as const satisfies readonly Rule[];

/** Every rule that some test has to name in its title. */
export const rules = [...eventRules, ...promises, ...engineRules];

/** The id of a rule that a client can see. */
export type RuleId = (typeof eventRules)[number]["id"] | (typeof promises)[number]["id"];
