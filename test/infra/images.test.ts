import { existsSync, mkdtempSync, readdirSync, readFileSync, rmSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { App, Stack } from 'aws-cdk-lib'
import { afterAll, expect, test } from 'vitest'
import { loadConfig } from '../../infra/config.ts'
import { House } from '../../infra/constructs/house.ts'
import { Images } from '../../infra/images.ts'

const gpuImages = join(import.meta.dirname, '../../gpu-images')
const folders = readdirSync(gpuImages).filter((name) => existsSync(join(gpuImages, name, 'Dockerfile')))
const dockerfile = (name: string) => readFileSync(join(gpuImages, name, 'Dockerfile'), 'utf8')
const outdir = mkdtempSync(join(tmpdir(), 'openledger-images-'))
afterAll(() => rmSync(outdir, { recursive: true, force: true }))

test('every image stands on the same base, by digest', () => {
  expect(folders).toEqual(['fine-tune', 'influence', 'open-lora'])
  const bases = folders.map((name) => /^ARG PYTHON=(.*)$/m.exec(dockerfile(name))?.[1])
  expect(bases[0]).toMatch(/^python:3\.\d+\.\d+-slim-\w+@sha256:[0-9a-f]{64}$/)
  expect(new Set(bases).size).toBe(1)
  for (const name of folders) expect(dockerfile(name)).toMatch(/^FROM \$\{PYTHON\}$/m)
})

test.each(folders)('what %s copies is in the build context, and what it installs has a version', (name) => {
  const text = dockerfile(name)
  for (const [, source] of text.matchAll(/^COPY (\S+) /gm)) expect(existsSync(join(gpuImages, source!))).toBe(true)
  for (const [, what] of text.matchAll(/pip install (?:--\S+ )*([a-z]\S*)/g)) expect(what).toMatch(/==\d/)
  const listed = join(gpuImages, name, 'requirements.txt')
  if (!existsSync(listed)) return
  for (const line of readFileSync(listed, 'utf8').trim().split('\n')) expect(line).toMatch(/^[\w-]+==\d/)
})

test('training runs as nobody special', () => {
  expect(dockerfile('fine-tune')).toMatch(/^USER (?!root)\w+$/m)
})

test('the engine that hosting asks for is the one that is built', () => {
  const app = new App({ outdir })
  const stack = new Stack(app, 'Images')
  House.set(stack, new House(loadConfig({ hosting: { engine: 'vllm' } }, 'no-such-file')))
  new Images(stack, 'Images')
  app.synth()
  const { dockerImages } = JSON.parse(readFileSync(join(outdir, 'Images.assets.json'), 'utf8'))
  const built = Object.values(dockerImages as Record<string, { source: Record<string, unknown> }>).map(({ source }) => [
    source['dockerFile'],
    source['dockerBuildArgs'],
  ])
  expect(Object.fromEntries(built)).toEqual({
    'fine-tune/Dockerfile': undefined,
    'influence/Dockerfile': undefined,
    'open-lora/Dockerfile': { ENGINE: 'vllm' },
  })
})
