import { ACCOUNT_ROUTES } from './routes/accounts.ts'
import { ATTRIBUTION_ROUTES } from './routes/attribution.ts'
import { DATANET_ROUTES } from './routes/datanets.ts'
import { MODEL_FACTORY_ROUTES } from './routes/model-factory.ts'
import { OPEN_LORA_ROUTES } from './routes/open-lora.ts'
import type { Route } from './routes/route.ts'
import { SETTLEMENT_ROUTES } from './routes/settlement.ts'

/** Every route of the product, a file a room: drives the gateway, the types, the documents and the access-matrix test. */
export const ROUTES = {
  ...ACCOUNT_ROUTES,
  ...DATANET_ROUTES,
  ...MODEL_FACTORY_ROUTES,
  ...OPEN_LORA_ROUTES,
  ...ATTRIBUTION_ROUTES,
  ...SETTLEMENT_ROUTES,
} as const satisfies Record<string, Route>

export type RouteId = keyof typeof ROUTES
