import { afterAll, beforeAll } from 'vitest'
import { access } from './access.ts'
import { multipart } from './multipart.ts'
import { publishing } from './publishing.ts'
import { refusals } from './refusals.ts'
import { stopping } from './stopping.ts'
import { startWorld, type World } from './world.ts'

/** One deployed platform for all journeys: deploying takes longer than any of them. */
let world: World

beforeAll(async () => {
  world = await startWorld()
}, 300_000)
afterAll(() => world?.platform.close())

publishing(() => world)
access(() => world)
refusals(() => world)
multipart(() => world)
stopping(() => world)
