import {
  CfnResource,
  type IPolicyValidationContext,
  type IPolicyValidationPlugin,
  type PolicyValidationPluginReport,
  type PolicyViolation,
  TagManager,
} from 'aws-cdk-lib'
import type { IConstruct } from 'constructs'

/** CloudFormation takes 500 resources a stack (AWS CloudFormation quotas); the rest is room for the customer. */
export const MOST_RESOURCES = 400
/** KB of one handler's bundle: it is parsed at every cold start. Those that talk to a chain carry ethers. */
const BUNDLE_KB = 850
const CHAIN_BUNDLE_KB = 1_100
const CHAIN_DOORS = /^settlement\/(settle-epochs|watch-roots|watch-deposits)$/
/** On every resource that takes tags: a bill can be split, and a lost resource traced. */
const REQUIRED_TAGS = ['openledger:stage']

/** What the house keeps an eye on itself: number of resources, size of bundles, tags. */
export class Budgets implements IPolicyValidationPlugin {
  readonly name = 'OpenLedger'
  readonly #bundles: Readonly<Record<string, number>>

  /** @param bundles bytes of each handler's bundle, by door */
  constructor(bundles: Readonly<Record<string, number>>) {
    this.#bundles = bundles
  }

  validate(context: IPolicyValidationContext): PolicyValidationPluginReport {
    const { appConstruct } = context as IPolicyValidationContext & { appConstruct: IConstruct }
    const resources = appConstruct.node.findAll().filter((node) => CfnResource.isCfnResource(node) && isRendered(node))
    const violations: PolicyViolation[] = []
    const broken = (ruleName: string, description: string, path: string) =>
      violations.push({
        ruleName,
        description,
        severity: 'error',
        violatingResources: [{ constructPath: path, locations: ['Properties'] }],
      } as unknown as PolicyViolation)

    if (resources.length >= MOST_RESOURCES)
      broken(
        'resource-budget',
        `${resources.length} resources; the budget is ${MOST_RESOURCES}.`,
        appConstruct.node.path,
      )
    for (const [door, bytes] of Object.entries(this.#bundles)) {
      const limit = CHAIN_DOORS.test(door) ? CHAIN_BUNDLE_KB : BUNDLE_KB
      if (bytes > limit * 1024)
        broken('bundle-budget', `${door} is ${Math.ceil(bytes / 1024)} KB; the budget is ${limit} KB.`, door)
    }
    for (const resource of resources) {
      const values = TagManager.of(resource)?.tagValues()
      const missing = values && REQUIRED_TAGS.filter((tag) => !(tag in values))
      if (missing?.length) broken('required-tags', `without ${missing.join(', ')}`, resource.node.path)
    }
    return { success: violations.length === 0, violations }
  }
}

/** A policy without statements is a construct, but no resource of the template. */
const isRendered = (resource: CfnResource): boolean =>
  (resource as unknown as { shouldSynthesize(): boolean }).shouldSynthesize()
