/** `npm run epoch -- recompute|verify`: the auditor's tool. Needs no platform, no account and, without --rpc, no network. */
import { parseArgs } from 'node:util'
import { EpochRefused } from '../../functions/settlement/epoch/refusal.ts'
import { recompute } from './epoch/recompute.ts'

const HELP = `Usage:
  npm run epoch -- recompute --receipts FILE_OR_DIR --out DIR [--root 0x..] [--previous FILE]
  npm run epoch -- verify --proof FILE [--rpc URL] [--settlement 0x..] [--keys FILE]

recompute  From a receipt log alone to lines, cumulative balances, Merkle root and receipts root.
  --receipts   folder with epoch-inputs.json, the log (*.jsonl: one canonical JSON receipt a line) and, from the second
               epoch on, previous-balances.bin; or one log file that has these beside it
  --out        gets lines.jsonl, charges.jsonl, sums.jsonl, balances.bin, tree/level-<k>.bin, receipts/*.bin, epoch.json
  --root       a published root to compare with: exit 1 when another comes out
  --previous   balances.bin of the epoch before, where it does not lie in the folder
  A log that cannot be trusted (torn line, changed duplicate, other epoch's stamp, sums that do not agree ...) is refused:
  exit 1, {"error":{"code","receiptId","where","detail"}}, and nothing is written.

  epoch-inputs.json (canonical JSON; its sha256 is the dataHash on chain):
    format "openledger-epoch-inputs-1", epoch, closedAt, treeDepth
    previous {epoch, root, total, balances: sha256 of previous-balances.bin or null, unassigned [{payee, amount}],
              unassignedSpent [{client, amount}]}
    treasury, operator (or null), platform: account ids
    adapters [{adapterId, terms: [sha256 of the canonical JSON of {attribution, confidence, datanets, owner, price, split}
              as they stand in a receipt's billing]}]
    accounts [{accountId, address?}] in order of registration, which breaks ties
    ledger {receipts, fees}: what the ledger counted
    quarantined [{receiptId, reason}]: lines with these ids are passed over
  Amounts are digit strings in units of 1e-18 OPEN. balances.bin: 37 bytes a leaf, kind (1 earned, 2 spent) | address |
  cumulative uint128; leaf hash keccak256(keccak256(leaf)), node keccak256(left | right), empty leaf 32 zero bytes.

verify     Checks a receipt proof (GET /receipts/{id}/proof): Merkle path, integer inputs, effect on the epoch's sums.
  --proof      the proof, JSON
  --rpc        also compares the roots with the settlement contract
  --keys       the published keys (GET /receipt-keys, JSON): also checks who signed the receipts root, and when
  --settlement the contract, instead of the one that the proof names
  Exit 1 with {"error":{"code"}}: wrong-proof (what does not hold), wrong-signature, rpc-failed (nothing was proved).
`

const usage = (message: string): never => {
  process.stderr.write(`${message}\n\n${HELP}`)
  process.exit(2)
}

const options = () => {
  try {
    return parseArgs({
      allowPositionals: true,
      options: {
        receipts: { type: 'string' },
        out: { type: 'string' },
        root: { type: 'string' },
        previous: { type: 'string' },
        proof: { type: 'string' },
        rpc: { type: 'string' },
        settlement: { type: 'string' },
        keys: { type: 'string' },
        help: { type: 'boolean', short: 'h' },
      },
    })
  } catch (error) {
    return usage((error as Error).message)
  }
}

const run = async (): Promise<{ result: object; ok: boolean }> => {
  const { values, positionals } = options()
  if (values.help) {
    process.stdout.write(HELP)
    process.exit(0)
  }
  if (positionals.length !== 1) usage('name one of: recompute, verify')
  if (values.root && !/^0x[0-9a-fA-F]{64}$/.test(values.root)) usage('--root must be 0x and 64 hex digits')
  if (values.settlement && !/^0x[0-9a-fA-F]{40}$/.test(values.settlement)) usage('--settlement must be an address')
  const { receipts, out, root, previous, proof, rpc, settlement, keys } = values
  if (positionals[0] === 'recompute') {
    if (!receipts || !out) return usage('recompute needs --receipts and --out')
    return recompute({ receipts, out, root: root?.toLowerCase(), previous })
  }
  if (positionals[0] === 'verify') {
    if (!proof) return usage('verify needs --proof')
    const { verify } = await import('./epoch/verify.ts')
    return verify({ proof, rpc, settlement, keys })
  }
  return usage(`there is no command ${positionals[0]}`)
}

try {
  const { result, ok } = await run()
  process.stdout.write(`${JSON.stringify(result)}\n`)
  process.exitCode = ok ? 0 : 1
} catch (error) {
  const refused = error instanceof EpochRefused ? error : undefined
  const detail = (error as Error).message
  const code = refused?.code ?? (error as { code?: string }).code ?? 'internal'
  process.stderr.write(`refused: ${detail}\n`)
  process.stdout.write(
    `${JSON.stringify({ error: { code, receiptId: refused?.receiptId, where: refused?.where, detail } })}\n`,
  )
  process.exitCode = 1
}
