/** usage: close-once.ts FOLDER. Closes the epoch whose log lies there and prints what it cost this process. */
import { readdirSync, readFileSync } from 'node:fs'
import { join } from 'node:path'
import { closeEpoch } from '../../../functions/settlement/epoch/close-epoch.ts'
import { loadKeccak } from '../../../functions/settlement/epoch/keccak.ts'
import type { LogObject } from '../../../functions/settlement/epoch/receipt-log.ts'
import type { CloseCost } from './close.ts'

const folder = process.argv[2]!

function* log(): Generator<LogObject> {
  for (const name of readdirSync(folder).sort())
    if (name.endsWith('.jsonl')) yield { name, bytes: readFileSync(join(folder, name)) }
}

const started = performance.now()
const source = { inputs: readFileSync(join(folder, 'epoch-inputs.json')), previousBalances: new Uint8Array() }
const { epoch } = await closeEpoch({ ...source, objects: log() }, await loadKeccak())
const { user, system } = process.cpuUsage()
const cost: CloseCost = {
  receipts: epoch.receipts,
  root: epoch.root,
  seconds: (performance.now() - started) / 1000,
  cpuSeconds: (user + system) / 1e6,
  peakMb: process.resourceUsage().maxRSS / 1024,
}
process.stdout.write(JSON.stringify(cost))
