/** Hand mutants of the money contracts: each is one slip that must turn the tests red. `node contracts/script/mutants.ts [N...]` */
import { spawnSync } from 'node:child_process'
import { cpSync, mkdtempSync, readFileSync, rmSync, symlinkSync, writeFileSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { delimiter, dirname, join } from 'node:path'
import { CONTRACTS } from './build.ts'

const MODULES = join(CONTRACTS, '..', 'node_modules')
type Mutant = [file: string, from: string, to: string]

const MUTANTS: Mutant[] = [
  [
    'Settlement',
    'if (block.timestamp < range.from || block.timestamp >= range.until)',
    'if (block.timestamp < range.from)',
  ],
  [
    'Settlement',
    'if (epoch != s.epoch + 1) revert WrongEpoch(s.epoch + 1, epoch);\n        if (prevRoot',
    'if (prevRoot',
  ],
  ['Settlement', 'if (prevRoot != epochs[s.epoch].root) revert WrongPreviousRoot(epochs[s.epoch].root, prevRoot);', ''],
  ['Settlement', 'root == 0 || receiptsRoot == 0 || dataHash == 0', 'root == 0'],
  ['Settlement', 'if (block.timestamp < s.activatesAt) revert WindowOpen(s.activatesAt);', ''],
  [
    'Settlement',
    's.pendingProposedAt = 0;\n        s.activatesAt = 0;\n        state = s;\n        total',
    's.pendingProposedAt = 0;\n        state = s;\n        total',
  ],
  ['Settlement', 'funded += debits;', ''],
  ['Settlement', 'if (received < debits) revert FundingShort(debits, received);', ''],
  ['Settlement', 'if (total_ < last) revert TotalLowered(last, total_);', ''],
  ['Settlement', 'if (total_ - last > maximum) revert EpochTooLarge(total_ - last, maximum);', ''],
  ['Settlement', 'if (debits > maximum) revert EpochTooLarge(debits, maximum);', ''],
  ['Settlement', 'if (total_ > uint256(funded) + debits) revert Underfunded(total_, uint256(funded) + debits);', ''],
  [
    'Settlement',
    'if (!hasRole(WATCHER_ROLE, msg.sender) && !hasRole(GUARDIAN_ROLE, msg.sender))',
    'if (!hasRole(WATCHER_ROLE, msg.sender))',
  ],
  ['Settlement', 'delete epochs[epoch];\n        emit Vetoed', 'emit Vetoed'],
  [
    'Settlement',
    'if (cumulative <= before) revert NothingToClaim(account, before);',
    'if (cumulative < before) revert NothingToClaim(account, before);',
  ],
  ['Settlement', 'a.claimed = cumulative;\n        _count(amount);', '_count(amount);'],
  ['Settlement', 'a.claimed = before;\n        emit PushSkipped', 'emit PushSkipped'],
  ['Settlement', 'if (sum > total) revert RootCapExceeded(sum, total);', ''],
  [
    'Settlement',
    'if (amount > left) revert OutflowCapExceeded(amount, left);',
    'if (amount > left) left = uint96(amount);',
  ],
  ['Settlement', 'uint64 nonce = accounts[account].nonce++;', 'uint64 nonce = accounts[account].nonce;'],
  ['Settlement', 'if (block.timestamp > deadline) revert SignatureExpired(deadline);', ''],
  ['Settlement', 'last != 0 && block.timestamp < last + pauseCooldown', 'false'],
  ['Settlement', 'uint256 owed = funded - claimedTotal;', 'uint256 owed = total - claimedTotal;'],
  ['InferenceEscrow', 'if (msg.sender != address(settlement)) revert OnlySettlement();', ''],
  [
    'InferenceEscrow',
    'if (block.timestamp < requestedAt + withdrawalDelay) revert NotReady(requestedAt + withdrawalDelay);',
    '',
  ],
  ['InferenceEscrow', 'if (spent != 0) revert SpendingKnown(spent);', ''],
  [
    'InferenceEscrow',
    'uint256 gone = uint256(client.withdrawn) + client.spent;',
    'uint256 gone = uint256(client.withdrawn);',
  ],
  ['InferenceEscrow', 'clients[msg.sender].withdrawn += uint128(amount);', ''],
  ['InferenceEscrow', 'held += amount;', ''],
  ['InferenceEscrow', 'if (spent > clients[client].spent) {', 'if (spent != clients[client].spent) {'],
  ['EpochTree', 'if (index >> depth != 0) revert IndexOutOfRange(index, depth);', ''],
  ['EpochTree', 'if (width == 0 || width > 16) revert MalformedBatch();', 'if (width > 16) revert MalformedBatch();'],
]

/** Whether the tests notice. @throws Error when the mutant's text is no longer in the source */
const isKilled = ([file, from, to]: Mutant): boolean => {
  const folder = mkdtempSync(join(tmpdir(), 'mutant-'))
  try {
    for (const part of ['src', 'test', 'tools', 'foundry.toml'])
      cpSync(join(CONTRACTS, part), join(folder, part), { recursive: true })
    symlinkSync(MODULES, join(folder, 'node_modules'))
    const config = readFileSync(join(folder, 'foundry.toml'), 'utf8')
    const paths = config
      .replace('"../node_modules"', JSON.stringify(MODULES))
      .replace('"../test/vectors"', JSON.stringify(join(CONTRACTS, '../test/vectors')))
    writeFileSync(join(folder, 'foundry.toml'), paths)
    const source = join(folder, 'src', `${file}.sol`)
    const text = readFileSync(source, 'utf8')
    if (!text.includes(from)) throw new Error(`${file} no longer has: ${from}`)
    writeFileSync(source, text.replace(from, to))
    const PATH = [join(MODULES, '.bin'), dirname(process.execPath), process.env['PATH']].join(delimiter)
    const env = { ...process.env, PATH, FOUNDRY_FUZZ_RUNS: '32' }
    const args = ['test', '--fail-fast', '--json']
    const options = { cwd: folder, env, encoding: 'utf8', maxBuffer: 2 ** 28 } as const
    const { stdout, stderr } = spawnSync(join(MODULES, '.bin', 'forge'), args, options)
    // npm's wrapper of forge swallows the exit status: only the report counts.
    const report = stdout.slice(stdout.indexOf('{'))
    if (!report.startsWith('{'))
      throw new Error(`${file} was not tested with: ${to}\n${stdout}${stderr}`.slice(0, 1_500))
    type Suites = Record<string, { test_results: Record<string, { status: string }> }>
    const results = Object.values(JSON.parse(report) as Suites).flatMap((suite) => Object.values(suite.test_results))
    return results.some(({ status }) => status === 'Failure')
  } finally {
    rmSync(folder, { recursive: true, force: true })
  }
}

if (import.meta.main) {
  const chosen = process.argv.slice(2).map(Number)
  if (chosen.some((n) => !MUTANTS[n])) {
    process.stderr.write(
      `usage: node contracts/script/mutants.ts [N...]   numbers 0 to ${MUTANTS.length - 1}, default all\n`,
    )
    process.exit(2)
  }
  const survivors: number[] = []
  const numbers = chosen.length > 0 ? chosen : [...MUTANTS.keys()]
  for (const n of numbers) {
    const killed = isKilled(MUTANTS[n]!)
    process.stderr.write(`${n} ${MUTANTS[n]![0]} ${killed ? 'killed' : 'SURVIVED'}: ${MUTANTS[n]![1].split('\n')[0]}\n`)
    if (!killed) survivors.push(n)
  }
  process.stdout.write(`${JSON.stringify({ mutants: numbers.length, survivors })}\n`)
  process.exitCode = survivors.length > 0 ? 1 : 0
}
