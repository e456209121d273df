import { runPython } from './python-command.ts'

/** `npm run base-model -- ...`: trains, or checks, the small base model of the local platform. */
await runPython({ module: 'fine_tune.base_model', args: process.argv.slice(2) })
