import { runPython } from './python-command.ts'

/** `npm run open-lora -- --base DIR --adapters DIR --port N`: the serving image as a plain process on loopback. */
await runPython({ module: 'open_lora.serve', args: process.argv.slice(2) })
