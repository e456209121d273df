import { spawnSync } from 'node:child_process'
import { mkdtempSync, readFileSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { delimiter, dirname, join } from 'node:path'
import { Contract, Wallet, ZeroAddress } from 'ethers'
import { afterAll, beforeAll, describe, expect, test } from 'vitest'
import { abiText, artefact, build, CONTRACTS, NAMES } from '../../../contracts/script/build.ts'
import { deploy, main } from '../../../contracts/script/deploy.ts'
import { CANONICAL_FACTORY, sameCode } from '../../../contracts/script/deterministic.ts'
import { LocalChain } from './local-chain.ts'

test('forge: unit, fuzz and invariant tests of the contracts', { timeout: 300_000 }, () => {
  const binaries = join(CONTRACTS, '..', 'node_modules', '.bin')
  const env = {
    ...process.env,
    PATH: `${binaries}${delimiter}${dirname(process.execPath)}${delimiter}${process.env['PATH']}`,
  }
  const done = spawnSync(join(binaries, 'forge'), ['test', '--json'], {
    cwd: CONTRACTS,
    env,
    encoding: 'utf8',
    maxBuffer: 2 ** 28,
  })
  type Suites = Record<string, { test_results: Record<string, { status: string; reason: string | null }> }>
  const suites = JSON.parse(done.stdout.slice(done.stdout.indexOf('{'))) as Suites
  const results = Object.entries(suites).flatMap(([suite, { test_results }]) =>
    Object.entries(test_results).map(([name, { status, reason }]) => ({ name: `${suite} ${name}`, status, reason })),
  )
  expect(results.filter(({ status }) => status !== 'Success')).toEqual([])
  expect(results.length).toBeGreaterThan(100)
  expect(done.status).toBe(0)
})

test('the committed interfaces are those of the sources', { timeout: 120_000 }, () => {
  build()
  for (const name of NAMES) expect(readFileSync(join(CONTRACTS, 'abi', `${name}.json`), 'utf8')).toBe(abiText(name))
})

describe('deployment', () => {
  let chain: LocalChain
  const roles = { settler: `0x${'51'.repeat(20)}`, watcher: `0x${'52'.repeat(20)}`, guardian: `0x${'53'.repeat(20)}` }
  const key = Wallet.createRandom().privateKey
  const out = join(mkdtempSync(join(tmpdir(), 'deploy-')), 'chain.json')
  const options = () => ({ rpcUrl: chain.rpcUrl, privateKey: key, roles, window: 60, out })
  beforeAll(async () => {
    chain = await LocalChain.start(2)
    await chain.rpc.send('anvil_setBalance', [new Wallet(key).address, '0x3635c9adc5dea00000'])
  })
  afterAll(() => chain?.stop())

  test('a dry run names every transaction and sends none; the addresses are those of the real run', async () => {
    const lines: string[] = []
    const before = await chain.rpc.getBlockNumber()
    const planned = await deploy({ ...options(), dryRun: true, log: (line) => lines.push(line) })
    expect(await chain.rpc.getBlockNumber()).toBe(before)
    const done = await deploy(options())
    expect(done.contracts).toEqual(planned.contracts)
    expect(lines.filter((line) => line.startsWith('would send'))).toHaveLength(done.transactions)
    expect(done.transactions).toBeGreaterThan(2)
    expect(JSON.parse(readFileSync(out, 'utf8'))).toEqual(done)
  })

  test('a second run sends nothing and keeps the record', async () => {
    const first = JSON.parse(readFileSync(out, 'utf8'))
    expect(await deploy(options())).toEqual({ ...first, transactions: 0 })
  })

  test('roles are where they were asked for, and the deployer has none', async () => {
    const { contracts } = await deploy(options())
    const settlement = new Contract(contracts.settlement, artefact('Settlement').abi as [], chain.rpc)
    const role = async (name: string) => settlement[name]!()
    const has = async (name: string, who: string) => settlement['hasRole']!(await role(name), who)
    expect(await has('WATCHER_ROLE', roles.watcher)).toBe(true)
    expect(await has('GUARDIAN_ROLE', roles.guardian)).toBe(true)
    expect(await has('DEFAULT_ADMIN_ROLE', contracts.timelock)).toBe(true)
    expect(await has('DEFAULT_ADMIN_ROLE', new Wallet(key).address)).toBe(false)
    expect((await settlement['settlerKeys']!(roles.settler)).until).toBeGreaterThan(2n ** 60n)
    expect(await settlement['escrow']!()).toBe(contracts.escrow)
  })

  test('with an own coin the wrapper is deployed and payouts can unwrap', async () => {
    const { contracts } = await deploy({ ...options(), native: true, out: `${out}.native` })
    const settlement = new Contract(contracts.settlement, artefact('Settlement').abi as [], chain.rpc)
    expect(await settlement['native']!()).toBe(true)
    expect(await settlement['token']!()).toBe(contracts.token)
  })

  test('a chain without the factory gets it by its published transaction', async () => {
    const bare = await LocalChain.start(2, {}, 1, ['--disable-default-create2-deployer'])
    try {
      expect(bare.deployment.factory).toBe(CANONICAL_FACTORY)
      expect(bare.deployment.contracts.settlement).toBe(chain.deployment.contracts.settlement)
    } finally {
      bare.stop()
    }
  })

  test('a chain that refuses that transaction gets a factory of its own, and keeps it', async () => {
    await chain.rpc.send('anvil_setCode', [CANONICAL_FACTORY, '0x']) // its nonce stays: the address is taken
    const fresh = await deploy({ ...options(), out: `${out}.own` })
    expect(fresh.factory).not.toBe(CANONICAL_FACTORY)
    expect(await deploy({ ...options(), out: `${out}.own` })).toMatchObject({
      transactions: 0,
      contracts: fresh.contracts,
    })
    await chain.rpc.send('anvil_setCode', [CANONICAL_FACTORY, await chain.rpc.getCode(fresh.factory)])
  })

  test('code that is not the compiled one is refused', async () => {
    const { contracts } = await deploy(options())
    const code = await chain.rpc.getCode(contracts.settlement)
    expect(sameCode(code, artefact('Settlement').deployedBytecode)).toBe(true)
    await chain.rpc.send('anvil_setCode', [contracts.settlement, `${code.slice(0, -2)}ff`])
    await expect(deploy(options())).rejects.toThrow('code of settlement')
    await chain.rpc.send('anvil_setCode', [contracts.settlement, code])
  })

  test('wrong usage exits with 2 and names the flag', async () => {
    process.env['DEPLOY_TEST_KEY'] = key
    const flags = [
      '--rpc',
      chain.rpcUrl,
      '--key-env',
      'DEPLOY_TEST_KEY',
      '--settler',
      roles.settler,
      '--watcher',
      roles.watcher,
    ]
    expect(await main([...flags, '--guardian', roles.guardian, '--window', '1.5'])).toBe(2)
    expect(await main([...flags, '--guardian', '0x12', '--window', '1'])).toBe(2)
    expect(await main([...flags, '--window', '1'])).toBe(2)
    expect(await main(['--nonsense'])).toBe(2)
    await expect(deploy({ ...options(), roles: { ...roles, watcher: 'nobody' } })).rejects.toThrow(
      'watcher: not an address',
    )
    await expect(
      deploy({ ...options(), roles: { ...roles, guardian: ZeroAddress }, out: `${out}.zero` }),
    ).rejects.toThrow()
  })
})
