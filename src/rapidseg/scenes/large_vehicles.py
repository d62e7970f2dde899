"""The bodies of trucks, buses and trams: boxes with windows."""

from __future__ import annotations

import numpy as np

from rapidseg.scenes.meshes import Material, Mesh, Part, box_mesh, end_panels, side_panels


def truck_parts(length: float, height: float) -> tuple[Part, ...]:
    """Returns chassis, box and cab of a truck."""
    half, front = 1.225, length / 2
    cab_back = front - 1.9
    chassis = box_mesh((-front, front - 0.1), (0.5, 0.95), (-half * 0.82, half * 0.82), Material.RUBBER)
    box = box_mesh((-front, cab_back - 0.15), (0.95, height), (-half, half), Material.SECOND_PAINT)
    cab = box_mesh((cab_back, front), (0.45, 2.55), (-half * 0.96, half * 0.96), Material.PAINT)
    on_chassis = [
        end_panels(-half * 0.98, half * 0.98, 0.78, 0.92, -front - 0.01, Material.METAL),
        end_panels(-0.26, 0.26, 0.62, 0.73, -front - 0.02, Material.PLATE),
    ]
    on_box = [end_panels(-0.02, 0.02, 1.0, height - 0.1, -front - 0.01, Material.RUBBER)]
    on_cab = [
        end_panels(-half * 0.86, half * 0.86, 1.45, 2.3, front + 0.01, Material.GLASS),
        end_panels(-half * 0.7, half * 0.7, 0.75, 1.15, front + 0.01, Material.RUBBER),
        end_panels(-half * 0.96, half * 0.96, 0.45, 0.62, front + 0.01, Material.RUBBER),
        end_panels(-0.26, 0.26, 0.50, 0.61, front + 0.02, Material.PLATE),
    ]
    for side in (-1, 1):
        z0, z1 = sorted((side * half * 0.92, side * half * 0.62))
        on_chassis.append(end_panels(z0, z1, 0.60, 0.76, -front - 0.02, Material.TAILLIGHT))
        on_cab.append(end_panels(z0, z1, 0.64, 0.86, front + 0.02, Material.HEADLIGHT))
        on_cab.append(side_panels(cab_back + 0.5, front - 0.25, 1.5, 2.25, side * half * 0.97, Material.GLASS))
        stripe = side * (half + 0.01)
        on_box.append(side_panels(-front + 0.4, cab_back - 1.2, 1.6, height - 0.7, stripe, Material.PAINT))
    return Part(chassis, Mesh.join(*on_chassis)), Part(box, Mesh.join(*on_box)), Part(cab, Mesh.join(*on_cab))


def coach_parts(length: float, height: float, low: float) -> tuple[Part, ...]:
    """Returns the body of a bus or a tram; `low` is the height of its lower edge."""
    half, end = 1.25, length / 2
    count = max(4, round(length / 1.6))
    edges = np.linspace(-end + 0.35, end - 0.5, count + 1)
    body = box_mesh((-end, end), (low, height), (-half, half), Material.PAINT)
    hood = box_mesh((-end + 0.4, end - 0.4), (height, height + 0.18), (-half * 0.7, half * 0.7), Material.SECOND_PAINT)
    parts = []
    for side in (-1, 1):
        z = side * (half + 0.01)
        parts.append(side_panels(-end, end, height - 0.45, height - 0.02, z, Material.SECOND_PAINT))
        parts.append(side_panels(-end, end, low, low + 0.16, z, Material.RUBBER))
        parts.append(side_panels(-end + 0.2, end - 0.1, 1.25, height - 0.5, z, Material.RUBBER))
        parts.append(side_panels(edges[:-1] + 0.05, edges[1:] - 0.05, 1.3, height - 0.55, z * 1.002, Material.GLASS))
        doors = edges[[count // 2, -2]] + 0.08
        for shift in (0.0, 0.7):
            x0 = doors + shift
            parts.append(side_panels(x0, x0 + 0.64, low + 0.12, height - 0.6, z * 1.004, Material.GLASS))
    for sign, lamps in ((1, Material.HEADLIGHT), (-1, Material.TAILLIGHT)):
        x = sign * (end + 0.01)
        parts.append(end_panels(-half * 0.92, half * 0.92, 1.15 if sign > 0 else 1.5, height - 0.45, x, Material.GLASS))
        parts.append(end_panels(-half * 0.7, half * 0.7, height - 0.42, height - 0.12, x, Material.RUBBER))
        parts.append(
            end_panels(-half * 0.4, half * 0.4, height - 0.35, height - 0.19, x + sign * 0.01, Material.SCREEN)
        )
        parts.append(end_panels(-half * 0.98, half * 0.98, low, low + 0.22, x, Material.RUBBER))
        parts.append(end_panels(-0.26, 0.26, 0.55, 0.67, x + sign * 0.01, Material.PLATE))
        for side in (-1, 1):
            z0, z1 = sorted((side * half * 0.92, side * half * 0.64))
            parts.append(end_panels(z0, z1, 0.68, 0.92, x + sign * 0.01, lamps))
    return (Part(Mesh.join(hood, body), Mesh.join(*parts)),)
