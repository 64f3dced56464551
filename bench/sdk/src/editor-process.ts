import { type EditorTask, runTask } from "./editor.ts";

process.stdout.write(JSON.stringify(await runTask(JSON.parse(process.argv[2] ?? "") as EditorTask)));
