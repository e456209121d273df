import { lstat, readdir, readFile } from 'node:fs/promises'
import { join } from 'node:path'
import { Bundles } from '../../../infra/constructs/bundles.ts'
import { repository, venv } from '../../../local/paths.ts'

const MB = 1024 * 1024

/** What the deployed stack and the set-up weigh. */
export const sizesOf = async (dir: string) => {
  const template = JSON.parse(await readFile(join(dir, 'cdk/app/OpenLedger.template.json'), 'utf8'))
  const { bytes } = new Bundles(join(repository, 'functions'))
  const kilobytes = Object.entries(bytes).map(([door, size]) => [door, Math.ceil(size / 1024)] as const)
  const modules = await installed(join(repository, 'node_modules'))
  const environment = await installed(venv)
  return {
    resources: Object.keys(template.Resources).length,
    installedMB: Math.round((modules + environment) / MB),
    bundleKB: Object.fromEntries(kilobytes.sort(([, a], [, b]) => b - a)),
  }
}

/** Bytes of all files below a folder, links not followed. */
const installed = async (folder: string): Promise<number> => {
  let bytes = 0
  for (const entry of await readdir(folder, { recursive: true, withFileTypes: true }))
    if (entry.isFile()) bytes += (await lstat(join(entry.parentPath, entry.name))).size
  return bytes
}
