// SPDX-License-Identifier: Apache-2.0
pragma solidity ^0.8.28;

import {TimelockController} from "@openzeppelin/contracts/governance/TimelockController.sol";

/// @title The admin of every contract here: changes wait `delay` seconds in public before they take effect.
contract OpenTimelock is TimelockController {
    /// @dev No bootstrap admin: the timelock governs itself from its first block.
    constructor(uint256 delay, address[] memory proposers, address[] memory executors)
        TimelockController(delay, proposers, executors, address(0))
    {}
}
