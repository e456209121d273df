import { Row } from '#schema/datanets'
import {
  call,
  eventually,
  type Person,
  type Platform,
  person,
  put,
  readText,
  sha256,
  startPlatform,
} from './platform.ts'

/** A curator and a contributor with one Datanet on a running platform, and what they do with it. */
export interface World {
  platform: Platform
  curator: Person
  contributor: Person
  datanetId: string
}

export const startWorld = async (): Promise<World> => {
  const platform = await startPlatform()
  const curator = person()
  const contributor = person()
  return { platform, curator, contributor, datanetId: await found(curator, contributor) }
}

/** A new Datanet that the contributor has joined. */
export const found = async (curator: Person, contributor: Person): Promise<string> => {
  const body = { name: 'Licences', field: 'legal', licence: { id: 'CC-BY-4.0' } }
  const { body: datanet } = await call('create-datanet', curator, { body })
  await call('join-datanet', contributor, { params: { datanetId: datanet.id } })
  return datanet.id
}

export const sentence = (n: number): string =>
  `Contribution ${n} holds a sentence of its own about the number ${n * 7919} and nothing else at all.`
export const jsonl = (texts: string[]): Buffer =>
  Buffer.from(texts.map((text) => `${JSON.stringify({ text })}\n`).join(''))

export const announce = (
  { contributor, datanetId }: Pick<World, 'contributor' | 'datanetId'>,
  bytes: Buffer,
  filename: string,
  more: { sha256?: string; headers?: Record<string, string>; contentType?: string } = {},
) =>
  call('contribute', contributor, {
    params: { datanetId },
    headers: more.headers ?? {},
    body: {
      filename,
      bytes: bytes.length,
      sha256: more.sha256 ?? sha256(bytes),
      ...(more.contentType ? { contentType: more.contentType } : {}),
    },
  })

/** Announces and sends an upload; the id of the contribution. */
export const upload = async (
  world: Pick<World, 'contributor' | 'datanetId'>,
  bytes: Buffer,
  filename: string,
): Promise<string> => {
  const { body } = await announce(world, bytes, filename)
  const { status } = await put(body.put, bytes)
  if (status !== 200) throw new Error(`the upload was answered with ${status}`)
  return body.contribution.id
}

/** The contribution once it is decided. */
export const settled = ({ contributor, datanetId }: Pick<World, 'contributor' | 'datanetId'>, id: string) =>
  eventually(async () => {
    const { body } = await call('get-contribution', contributor, { params: { datanetId, contributionId: id } })
    return ['accepted', 'rejected'].includes(body.state) ? body : undefined
  })

export const rejectedRows = async (
  { contributor, datanetId }: Pick<World, 'contributor' | 'datanetId'>,
  id: string,
  query: object = {},
) => (await call('list-rejected-rows', contributor, { params: { datanetId, contributionId: id }, query })).body

export const acceptedRows = async (platform: Platform, datanetId: string, id: string): Promise<Row[]> =>
  (await readText(platform, `datanets/${datanetId}/parts/${id}/rows.jsonl`))
    .split('\n')
    .filter(Boolean)
    .map((line) => Row.parse(JSON.parse(line)))
