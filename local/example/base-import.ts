import { createHash } from 'node:crypto'
import { readdirSync, readFileSync } from 'node:fs'
import { join } from 'node:path'
import { repository } from '../paths.ts'
import { upload } from './api-client.ts'
import type { Person } from './people.ts'

const FOLDER = join(repository, 'examples/base-model')
const baseId = (): string => JSON.parse(readFileSync(join(FOLDER, 'base.json'), 'utf8')).id

/** The operator brings the base model into the deployment, by the public API, once. */
export const importBase = async (operator: Person): Promise<string> => {
  const id = baseId()
  const files = readdirSync(FOLDER)
    .filter((name) => !name.startsWith('.'))
    .map((name) => ({ name, body: readFileSync(join(FOLDER, name)) }))
  const announced = files.map(({ name, body }) => ({
    name,
    bytes: body.length,
    sha256: createHash('sha256').update(body).digest('hex'),
  }))
  const { base, uploads } = await operator.api.put(`/base-models/${id}`, { files: announced })
  if (base.state === 'ready') return id
  for (const put of uploads) await upload(put, files.find(({ name }) => name === put.name)!.body)
  await operator.api.post(`/base-models/${id}/complete`)
  return id
}
