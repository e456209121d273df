import { mkdtemp, readFile, rm } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { dirname, join } from 'node:path'
import { afterAll, beforeAll, expect, test } from 'vitest'
import { repository, venvPython } from '../../../local/paths.ts'
import { run } from '../../../local/processes/run.ts'

/** `cdk synth` by the real CLI, on a machine with Node and nothing else: no Docker, no credentials, no home. */
let dir: string
let out: string
beforeAll(async () => {
  dir = await mkdtemp(join(tmpdir(), 'openledger-synth-'))
  out = join(dir, 'cdk.out')
  const env = { PATH: dirname(process.execPath), HOME: dir, TMPDIR: dir, CDK_DISABLE_CLI_TELEMETRY: 'true' }
  const cdk = join(repository, 'node_modules/aws-cdk/bin/cdk')
  await run(process.execPath, [cdk, 'synth', '--quiet', '--output', out], { cwd: repository, env })
})
afterAll(() => rm(dir, { recursive: true, force: true }))

const read = async (name: string) => JSON.parse(await readFile(join(out, name), 'utf8'))

test('the template is there, and its images are left to be built at the deploy', async () => {
  const { Resources } = await read('OpenLedger.template.json')
  expect(Object.keys(Resources).length).toBeGreaterThan(250)
  const { dockerImages } = await read('OpenLedger.assets.json')
  const folders = Object.values(dockerImages as Record<string, { source: { dockerFile?: string } }>)
  expect(folders).toHaveLength(3)
})

test('cfn-lint finds nothing', async () => {
  const lint = 'import sys; from cfnlint import runner; sys.exit(runner.main())'
  // W3005: DependsOn that a GetAtt says already. The CDK library writes both.
  const options = ['--format', 'parseable', '--ignore-checks', 'W3005']
  await run(venvPython, ['-c', lint, '-t', join(out, 'OpenLedger.template.json'), ...options])
})
