import { execFile } from 'node:child_process'
import { mkdirSync, mkdtempSync, rmSync, symlinkSync, writeFileSync } from 'node:fs'
import { createRequire } from 'node:module'
import { tmpdir } from 'node:os'
import { dirname, join } from 'node:path'
import { promisify } from 'node:util'
import { afterAll, expect, test } from 'vitest'

const repository = join(import.meta.dirname, '../../..')
const depcruise = join(repository, 'node_modules/.bin/depcruise')
const rules = join(repository, '.dependency-cruiser.cjs')
const made: string[] = []
afterAll(() => {
  for (const dir of made) rmSync(dir, { recursive: true, force: true })
})

/** Names of the rules that the tree breaks. */
const broken = async (root: string): Promise<string[]> => {
  const args = ['--config', rules, '--output-type', 'json', 'functions', 'infra', 'local']
  const { stdout } = await promisify(execFile)(depcruise, args, {
    cwd: root,
    maxBuffer: 1 << 28,
    timeout: 60_000,
  }).catch((error: { stdout: string }) => error)
  const { violations } = JSON.parse(stdout).summary as { violations: { rule: { name: string } }[] }
  return [...new Set(violations.map(({ rule }) => rule.name))].sort()
}

/** A small house with one file that imports another. */
const house = (from: string, to: string): string => {
  const root = mkdtempSync(join(tmpdir(), 'openledger-doors-'))
  made.push(root)
  symlinkSync(join(repository, 'node_modules'), join(root, 'node_modules'))
  for (const file of ['package.json', 'tsconfig.json']) symlinkSync(join(repository, file), join(root, file))
  const write = (file: string, text: string) => {
    mkdirSync(dirname(join(root, file)), { recursive: true })
    writeFileSync(join(root, file), text)
  }
  for (const room of ['functions', 'infra', 'local']) write(`${room}/empty.ts`, 'export {}\n')
  const inTree = to.endsWith('.ts')
  if (inTree) write(to, 'export const x = 1\n')
  const specifier = inTree ? `${'../'.repeat(from.split('/').length - 1)}${to}` : to
  write(from, `import * as x from '${specifier}'\nexport default x\n`)
  return root
}

test('the house itself breaks no rule', async () => {
  expect(await broken(repository)).toEqual([])
}, 60_000)

const RED = [
  ['schema-imports-zod-only', 'functions/schema/a.ts', 'functions/registry/b.ts'],
  ['schema-imports-zod-only', 'functions/schema/a.ts', 'ethers'],
  ['registry-imports-schema', 'functions/registry/a.ts', 'functions/ledger/b.ts'],
  ['ledger-imports-schema', 'functions/ledger/a.ts', 'functions/registry/b.ts'],
  ['runtime-imports-schema', 'functions/runtime/a.ts', 'functions/ledger/b.ts'],
  ...['datanets', 'model-factory', 'open-lora', 'attribution', 'settlement', 'accounts'].map((room) => [
    `${room}-is-a-room`,
    `functions/${room}/a.ts`,
    `functions/${room === 'datanets' ? 'accounts' : 'datanets'}/b.ts`,
  ]),
  ['runtime-is-for-handlers', 'functions/datanets/a.ts', 'functions/runtime/b.ts'],
  ['sdk-in-taps-only', 'functions/datanets/a.ts', '@aws-sdk/client-s3'],
  ['infra-imports-schema', 'infra/a.ts', 'functions/ledger/b.ts'],
  ['nothing-imports-local', 'infra/a.ts', 'local/b.ts'],
]

test.each(RED)(
  '%s goes red: %s -> %s',
  async (rule, from, to) => {
    expect(await broken(house(from!, to!))).toContain(rule)
  },
  60_000,
)

test('an import of types alone is seen too', async () => {
  const root = house('functions/schema/a.ts', 'functions/registry/b.ts')
  writeFileSync(join(root, 'functions/registry/b.ts'), 'export interface X { id: string }\n')
  writeFileSync(join(root, 'functions/schema/a.ts'), "import type { X } from '../registry/b.ts'\nexport type Y = X\n")
  expect(await broken(root)).toContain('schema-imports-zod-only')
}, 60_000)

test('every rule has a row above', () => {
  const { forbidden } = createRequire(import.meta.url)(rules) as { forbidden: { name: string }[] }
  expect([...new Set(RED.map(([rule]) => rule)), 'no-circular'].sort()).toEqual(
    forbidden.map(({ name }) => name).sort(),
  )
})

test('a circle goes red', async () => {
  const root = house('functions/schema/a.ts', 'functions/schema/b.ts')
  writeFileSync(join(root, 'functions/schema/b.ts'), "import a from './a.ts'\nexport const x = a\n")
  expect(await broken(root)).toContain('no-circular')
}, 60_000)
